import process from "node:process";
import { assertEquals } from "@std/assert";

const NOBODY = 65_534;

/** Runs `posthorn user mailbox` as another process: who has the rights of root gives them up. */
async function makeMailbox(root: string): Promise<number> {
  const main = `${import.meta.dirname}/../../../main.ts`;
  const args = ["run", "--quiet", "--no-check", "--allow-all", main, "--config", `${root}/posthorn.yaml`];
  const command = new Deno.Command(Deno.execPath(), { args: [...args, "user", "mailbox", "alice@example.org"] });
  return (await command.output()).code;
}

async function makeSite(): Promise<string> {
  const root = await Deno.makeTempDir();
  await Deno.writeTextFile(
    `${root}/posthorn.yaml`,
    "hostname: mail.example.org\ndata: data\ndomains: { example.org: {} }\naccounts: accounts.yaml\n",
  );
  await Deno.writeTextFile(`${root}/accounts.yaml`, "alice@example.org: {}\n");
  await Deno.mkdir(`${root}/data/mail/example.org`, { recursive: true });
  return root;
}

Deno.test({
  name:
    "As root, user mailbox works as the owner of the data, who cannot have it give folders of others away by a link",
  // Before Deno 2.8 a process of root stays one.
  ignore: Deno.uid() !== 0 || process.setuid === undefined,
  async fn(): Promise<void> {
    const root = await makeSite();
    try {
      await Deno.mkdir(`${root}/others/tmp`, { recursive: true });
      await Deno.symlink(`${root}/others`, `${root}/data/mail/example.org/alice`);
      await Deno.chmod(root, 0o755);
      for (const path of ["data", "data/mail", "data/mail/example.org"]) {
        await Deno.chown(`${root}/${path}`, NOBODY, NOBODY);
      }
      await makeMailbox(root);
      assertEquals((await Deno.stat(`${root}/others/tmp`)).uid, 0);
      assertEquals((await Array.fromAsync(Deno.readDir(`${root}/others`))).length, 1);
      await Deno.remove(`${root}/data/mail/example.org/alice`);
      assertEquals(await makeMailbox(root), 0);
      for (const path of ["mail/example.org/alice", "mail/example.org/alice/new", "mailboxes"]) {
        assertEquals((await Deno.stat(`${root}/data/${path}`)).uid, NOBODY, path);
      }
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});
