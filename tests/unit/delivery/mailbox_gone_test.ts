import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { fullError } from "./maildir_faulty_files.ts";
import { MailboxLab } from "../../support/mailbox_lab.ts";

const ALICE = "alice@example.org";
const BOB = "bob@example.org";
const CAROL = "carol@example.net";

function brief({ action, status }: Outcome): string {
  return `${action} ${status}`;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

Deno.test("A mailbox that is gone waits alone, nothing is written in its place, and its mail comes when it is back", async () => {
  await using lab = await MailboxLab.make();
  for (const account of [ALICE, BOB]) assertEquals(brief(await lab.deliver(account)), "delivered 2.0.0");
  await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
  for (const isRestarted of [false, true]) {
    if (isRestarted) await lab.restart();
    const outcome = await lab.deliver(ALICE);
    assertEquals(brief(outcome), "delayed 4.2.1");
    assertFalse(outcome.text.includes("/"), outcome.text);
    assertFalse(await exists(lab.folder(ALICE)), "made anew");
    assertEquals(brief(await lab.deliver(BOB)), "delivered 2.0.0");
  }
  await Deno.rename(`${lab.root}/elsewhere`, lab.folder(ALICE));
  assertEquals(brief(await lab.deliver(ALICE)), "delivered 2.0.0");
  assertEquals([await lab.count(ALICE), await lab.count(BOB)], [2, 3]);
});

Deno.test("The log names what is gone and what to type, once in five minutes, and says when it is over", async () => {
  await using lab = await MailboxLab.make();
  for (const account of [ALICE, BOB]) await lab.deliver(account);
  await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
  const line = `error: Mailbox "${ALICE}": folder "${lab.folder(ALICE)}" was there before and is gone or empty; ` +
    "its mail waits. Is a disk not mounted? Where it was removed on purpose, " +
    `\`posthorn user mailbox ${ALICE}\` makes a new one`;
  for (let i = 0; i < 3; i++) await lab.deliver(ALICE);
  assertEquals(lab.log.lines, [line]);
  lab.clock.skip(5 * 60_000);
  await lab.deliver(ALICE);
  assertEquals(lab.log.lines, [line, line]);
  await Deno.rename(`${lab.root}/elsewhere`, lab.folder(ALICE));
  for (let i = 0; i < 2; i++) await lab.deliver(ALICE);
  assertEquals(lab.log.lines.slice(2), [`info: Mailbox "${ALICE}" can be written again`]);
});

for (const folder of ["tmp", "new", "cur"]) {
  Deno.test(`A mailbox without its ${folder}/ waits, and nothing is left in it`, async () => {
    await using lab = await MailboxLab.make();
    await lab.deliver(ALICE);
    await Deno.rename(`${lab.folder(ALICE)}/${folder}`, `${lab.root}/elsewhere`);
    for (const isRestarted of [false, true]) {
      if (isRestarted) await lab.restart();
      // What is delivered without touching cur/ need not notice that it is gone.
      if (folder === "cur" && !isRestarted) continue;
      assertEquals(brief(await lab.deliver(ALICE)), "delayed 4.2.1");
    }
    assertFalse(await exists(`${lab.folder(ALICE)}/${folder}`));
    assertEquals(await lab.names(`${lab.folder(ALICE)}/tmp`), []);
    await Deno.rename(`${lab.root}/elsewhere`, `${lab.folder(ALICE)}/${folder}`);
    assertEquals(brief(await lab.deliver(ALICE)), "delivered 2.0.0");
  });
}

Deno.test("While mail/ is an empty mount point or missing, all mailboxes wait, also those that never were, with one line in the log", async () => {
  await using lab = await MailboxLab.make();
  for (const account of [ALICE, CAROL]) await lab.deliver(account);
  await Deno.rename(`${lab.root}/mail`, `${lab.root}/disk`);
  for (const isMountPoint of [false, true]) {
    if (isMountPoint) await Deno.mkdir(`${lab.root}/mail`);
    for (const account of [ALICE, BOB, CAROL]) assertEquals(brief(await lab.deliver(account)), "delayed 4.2.1");
    assertEquals(await lab.names(`${lab.root}/mail`), []);
  }
  assertEquals(lab.log.lines.length, 1, lab.log.lines.join("\n"));
  await Deno.remove(`${lab.root}/mail`);
  await Deno.rename(`${lab.root}/disk`, `${lab.root}/mail`);
  for (const account of [ALICE, BOB, CAROL]) assertEquals(brief(await lab.deliver(account)), "delivered 2.0.0");
});

Deno.test("While the folder of a domain is empty, its mailboxes wait, and those of other domains do not", async () => {
  await using lab = await MailboxLab.make();
  for (const account of [ALICE, CAROL]) await lab.deliver(account);
  await Deno.rename(`${lab.root}/mail/example.org`, `${lab.root}/disk`);
  await Deno.mkdir(`${lab.root}/mail/example.org`);
  for (const account of [ALICE, BOB]) assertEquals(brief(await lab.deliver(account)), "delayed 4.2.1");
  assertEquals(brief(await lab.deliver(CAROL)), "delivered 2.0.0");
  assertEquals(await lab.names(`${lab.root}/mail/example.org`), []);
});

Deno.test("A Maildir that was there before us is taken as it is, and waited for once it has had a message", async () => {
  await using lab = await MailboxLab.make();
  for (const name of ["tmp", "new", "cur"]) await Deno.mkdir(`${lab.folder(ALICE)}/${name}`, { recursive: true });
  assertEquals(brief(await lab.deliver(ALICE)), "delivered 2.0.0");
  assertMatch(await Deno.readTextFile(lab.registryFile), /^alice@example\.org$/m);
  await lab.restart();
  await Deno.remove(lab.folder(ALICE), { recursive: true });
  assertEquals(brief(await lab.deliver(ALICE)), "delayed 4.2.1");
});

Deno.test("While nobody knows which mailboxes there were, those that are there take mail, and others wait", async () => {
  await using lab = await MailboxLab.make();
  await lab.deliver(ALICE);
  await Deno.remove(lab.registryFile);
  await Deno.mkdir(lab.registryFile);
  await lab.restart();
  assertEquals([await lab.deliver(ALICE), await lab.deliver(BOB)].map(brief), ["delivered 2.0.0", "delayed 4.3.0"]);
  assert(lab.log.lines.at(-1)?.includes(`Cannot read "${lab.registryFile}"`), lab.log.lines.join("\n"));
  await Deno.remove(lab.registryFile);
  assertEquals(brief(await lab.deliver(BOB)), "delivered 2.0.0");
});

Deno.test("A registry that cannot be written stops no mail, and its mailboxes are waited for while we run", async () => {
  await using lab = await MailboxLab.make();
  lab.disk.fault = (operation, path) => operation === "open" && path === lab.registryFile ? fullError() : undefined;
  for (const account of [ALICE, BOB]) assertEquals(brief(await lab.deliver(account)), "delivered 2.0.0");
  await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
  assertEquals(brief(await lab.deliver(ALICE)), "delayed 4.2.1");
  assertMatch(
    lab.log.lines[0] ?? "",
    /^warning: Cannot note in .*\/mailboxes that there is a mailbox alice@example\.org/,
  );
});

interface Damage {
  readonly what: string;
  readonly do: (lab: MailboxLab) => Promise<void>;
  readonly mend: RegExp;
}

const DAMAGES: readonly Damage[] = [
  {
    what: "a file in the place of the mailbox",
    do: async (lab) => {
      await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
      await Deno.writeTextFile(lab.folder(ALICE), "");
    },
    mend: /something else has the place of a folder: move it away$/,
  },
  {
    what: "a file in the place of new/",
    do: async (lab) => {
      await Deno.rename(`${lab.folder(ALICE)}/new`, `${lab.root}/elsewhere`);
      await Deno.writeTextFile(`${lab.folder(ALICE)}/new`, "");
    },
    mend: /something else has the place of a folder: move it away$/,
  },
  {
    what: "a link that leads nowhere",
    do: async (lab) => {
      await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
      await Deno.symlink("/nowhere/at/all", lab.folder(ALICE));
    },
    mend: /was there before and is gone or empty; its mail waits/,
  },
  {
    what: "links in a circle",
    do: async (lab) => {
      await Deno.rename(lab.folder(ALICE), `${lab.root}/elsewhere`);
      await Deno.symlink(lab.folder(ALICE), lab.folder(ALICE));
    },
    mend: /symbolic links lead in a circle$/,
  },
];

for (const { what, do: damage, mend } of DAMAGES) {
  Deno.test(`With ${what}, that mailbox waits alone, and the log says how to mend it`, async () => {
    await using lab = await MailboxLab.make();
    for (const account of [ALICE, BOB]) await lab.deliver(account);
    await damage(lab);
    for (const isRestarted of [false, true]) {
      if (isRestarted) await lab.restart();
      const outcome = await lab.deliver(ALICE);
      assertEquals(outcome.action, "delayed");
      assertMatch(outcome.status, /^4\.[23]\.\d$/);
      assertFalse(outcome.text.includes("/"), outcome.text);
      assertEquals(brief(await lab.deliver(BOB)), "delivered 2.0.0");
    }
    assertMatch(lab.log.lines[0] ?? "", mend);
  });
}

const ERRORS: readonly (readonly [code: string, words: string, number: number, status: string, mend: RegExp])[] = [
  ["EACCES", "Permission denied", 13, "4.3.0", /give it to the user that posthorn runs as \(chown -R\)$/],
  ["EROFS", "Read-only file system", 30, "4.3.0", /mounted read-only: .* then remount it$/],
  ["EIO", "Input/output error", 5, "4.3.0", /the disk has faults: look at the kernel log/],
  ["ESTALE", "Stale file handle", 116, "4.3.0", /its mount is stale: mount it again$/],
  ["ENAMETOOLONG", "File name too long", 36, "4.3.0", /its name is too long for the file system of this disk$/],
  ["ENOSPC", "No space left on device", 28, "4.3.1", /make room on its disk \(df, df -i\)$/],
  ["EDQUOT", "Disk quota exceeded", 122, "4.3.1", /raise the quota/],
];

for (const [code, words, number, status, mend] of ERRORS) {
  Deno.test(`${code} of a mailbox delays its mail alone with ${status}, one line in the log says how to mend it`, async () => {
    await using lab = await MailboxLab.make();
    for (const account of [ALICE, BOB]) await lab.deliver(account);
    lab.disk.fault = (operation, path) => {
      if (operation !== "open" || !path.startsWith(lab.folder(ALICE))) return undefined;
      const message = `${words} (os error ${number}): open '${path}'`;
      return Object.assign(code === "EACCES" ? new Deno.errors.PermissionDenied(message) : new Error(message), {
        code,
      });
    };
    for (let i = 0; i < 3; i++) {
      const outcome = await lab.deliver(ALICE);
      assertEquals(brief(outcome), `delayed ${status}`);
      assertFalse(outcome.text.includes("/"), outcome.text);
    }
    assertEquals(brief(await lab.deliver(BOB)), "delivered 2.0.0");
    assertEquals(lab.log.lines.length, 1, lab.log.lines.join("\n"));
    assertMatch(lab.log.lines[0] ?? "", mend);
    assert(lab.log.lines[0]?.includes(lab.folder(ALICE)));
    lab.disk.fault = () => undefined;
    assertEquals(brief(await lab.deliver(ALICE)), "delivered 2.0.0");
  });
}

Deno.test("A disk of mailboxes that is nearly full delays mail before it is written", async () => {
  let room = 1000;
  await using lab = await MailboxLab.make({ hasRoomFor: (octets) => octets <= room });
  assertEquals(brief(await lab.deliver(ALICE)), "delivered 2.0.0");
  room = 10;
  lab.disk.done.length = 0;
  assertEquals(brief(await lab.deliver(ALICE)), "delayed 4.3.1");
  assertEquals(lab.disk.done, []);
});
