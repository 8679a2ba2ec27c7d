import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  dropPrivileges,
  findUser,
  giveFolder,
  isRoot,
  type PrivilegedProcess,
  PrivilegeError,
} from "../../../lib/system/privileges.ts";

const PASSWD = [
  "root:x:0:0:root:/root:/bin/bash",
  "# a comment",
  "posthornish:x:7:7::/:/bin/false",
  "broken:x::",
  "toor:x:0:0::/:/bin/sh",
  "posthorn:x:998:997:posthorn,,,:/var/lib/posthorn:/usr/sbin/nologin",
  "",
].join("\n");
const readPasswd = (): Promise<string> => Promise.resolve(PASSWD);

/** A process as the kernel keeps it: only root may change its ids. */
function kernelProcess(uid: number, groups: number[] = []): PrivilegedProcess & { calls: string[] } {
  const ids = { uid, gid: uid };
  const calls: string[] = [];
  const allow = (call: string): void => {
    if (ids.uid !== 0) throw new Error("operation not permitted");
    calls.push(call);
  };
  return {
    calls,
    getuid: () => ids.uid,
    getgid: () => ids.gid,
    getgroups: () => groups,
    setgid: (id) => {
      allow(`setgid ${id}`);
      ids.gid = id;
    },
    setuid: (id) => {
      allow(`setuid ${id}`);
      ids.uid = id;
    },
  };
}

Deno.test("root becomes the user, group first, and the supplementary groups that stay are told", async () => {
  const process = kernelProcess(0, [0, 997, 4]);
  assert(isRoot(process));
  assertEquals(await dropPrivileges({ user: "posthorn", readPasswd, process }), {
    uid: 998,
    gid: 997,
    keptGroups: [0, 4],
  });
  assertEquals(process.calls, ["setgid 997", "setuid 998"]);
  assert(!isRoot(process));
});

Deno.test("without root's rights there is nothing to drop", async () => {
  const process = kernelProcess(1000);
  assertEquals(await dropPrivileges({ user: "nobody-there", readPasswd, process }), undefined);
  assertEquals(process.calls, []);
});

Deno.test("a user that is missing or root is a configuration error that says what to do", () => {
  assertEquals(findUser("posthorn", PASSWD), { uid: 998, gid: 997 });
  const missing = assertThrows(() => findUser("mail", PASSWD), PrivilegeError, "useradd --system mail");
  assertEquals(missing.exitCode, 78);
  assertThrows(() => findUser("broken", PASSWD), PrivilegeError, "no such user");
  assertThrows(() => findUser("toor", PASSWD), PrivilegeError, "that is root");
});

Deno.test("a runtime that cannot change its user ends with 77 and points to systemd", async () => {
  const process: PrivilegedProcess = { getuid: () => 0, getgid: () => 0 };
  const error = await assertRejects(() => dropPrivileges({ user: "posthorn", readPasswd, process }), PrivilegeError);
  assertEquals(error.exitCode, 77);
  assertStringIncludes(error.message, '"User=posthorn" with "AmbientCapabilities=CAP_NET_BIND_SERVICE"');
});

Deno.test("a system that refuses, ignores or takes back the change is noticed", async () => {
  const attempt = async (changed: Partial<PrivilegedProcess>): Promise<number> => {
    const process = { ...kernelProcess(0), ...changed };
    return (await assertRejects(() => dropPrivileges({ user: "posthorn", readPasswd, process }), PrivilegeError))
      .exitCode;
  };
  const refuse = (): void => {
    throw new Error("operation not permitted");
  };
  assertEquals(await attempt({ setgid: refuse }), 77);
  assertEquals(await attempt({ setuid: () => {} }), 70);
  assertEquals(await attempt({ setgid: () => {} }), 70);
});

Deno.test({
  name: "the real process loses root's rights for good",
  ignore: Deno.uid() !== 0 || Deno.version.deno.startsWith("2.5."),
  fn: async () => {
    const module = new URL("../../../lib/system/privileges.ts", import.meta.url).href;
    const script = `
      import process from "node:process";
      import { dropPrivileges } from "${module}";
      const readPasswd = () => Promise.resolve("nobody:x:65534:65534::/:/bin/false");
      await dropPrivileges({ user: "nobody", readPasswd, process });
      const status = await Deno.readTextFile("/proc/self/status");
      let again = "root again";
      try { process.setuid(0); } catch { again = "refused"; }
      console.log(Deno.uid(), /Uid:.*/.exec(status)[0].split(/\\s+/).join(" "), again);`;
    const path = await Deno.makeTempFile({ suffix: ".mjs" });
    await Deno.writeTextFile(path, script);
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "--quiet", "--no-config", "--allow-all", path] });
    const { stdout, stderr } = await command.output();
    await Deno.remove(path);
    assertEquals(
      new TextDecoder().decode(stdout),
      "65534 Uid: 65534 65534 65534 65534 refused\n",
      new TextDecoder().decode(stderr),
    );
  },
});

Deno.test("a folder of root is given away, itself last, without entering those of others or following links", async () => {
  type Node = { uid: number; kind: "folder" | "file" | "link" };
  const tree: Record<string, Node> = {
    "/d": { uid: 0, kind: "folder" },
    "/d/keys": { uid: 0, kind: "folder" },
    "/d/keys/a.pem": { uid: 0, kind: "file" },
    "/d/theirs": { uid: 998, kind: "folder" },
    "/d/theirs/x": { uid: 0, kind: "file" },
    "/d/link": { uid: 0, kind: "link" },
    "/d/other": { uid: 5, kind: "file" },
  };
  const given: string[] = [];
  const files = {
    lstat: (path: string) => {
      const { uid, kind } = tree[path] ?? { uid: 0, kind: "file" };
      return Promise.resolve({ uid, isDirectory: kind === "folder", isFile: kind === "file" });
    },
    readDir: async function* (path: string): AsyncGenerator<{ name: string }> {
      for (const entry of Object.keys(tree)) {
        if (entry.slice(0, entry.lastIndexOf("/")) === path) yield { name: entry.slice(path.length + 1) };
      }
      await Promise.resolve();
    },
    chown: (path: string, uid: number, gid: number) => {
      given.push(`${path} ${uid} ${gid}`);
      return Promise.resolve();
    },
  };
  await giveFolder("/d", { uid: 998, gid: 997 }, files);
  assertEquals(given, ["/d/keys/a.pem 998 997", "/d/keys 998 997", "/d 998 997"]);
  given.length = 0;
  await giveFolder("/d/theirs", { uid: 998, gid: 997 }, files);
  assertEquals(given, []);
});
