import { assert, assertEquals, assertFalse } from "@std/assert";
import { Mounts } from "../../../lib/system/mounts.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const DISKS = `23 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
45 28 0:40 / /run/user/1000 rw shared:20 - tmpfs tmpfs rw
`;
const WITH_NFS = `${DISKS}90 28 0:50 / /srv/mail rw shared:99 master:2 - nfs4 filer:/mail rw,vers=4.2
91 90 254:16 / /srv/mail/local rw - xfs /dev/vdb rw
92 28 0:51 / /srv/with\\040space rw - fuse.sshfs me@there: rw
`;

function mountsOf(
  text: () => string | undefined,
  links: Record<string, string> = {},
): { mounts: Mounts; clock: FakeClock } {
  const clock = new FakeClock(undefined, true);
  const realPath = (folder: string): Promise<string> => Promise.resolve(links[folder] ?? folder);
  return { mounts: new Mounts({ readMounts: text, realPath, clock }), clock };
}

/** As somebody finds who asks again a little later. */
async function settled(mounts: Mounts, folder: string): Promise<boolean> {
  mounts.isLocal(folder);
  for (let turns = 0; turns < 5; turns++) await Promise.resolve();
  return mounts.isLocal(folder);
}

Deno.test("where only disks of the machine are mounted, every folder is local at once", () => {
  const { mounts } = mountsOf(() => DISKS);
  assert(mounts.isLocal("/var/lib/posthorn/spool"));
});

Deno.test("a folder below a network file system is not local, one on a disk mounted below it is", async () => {
  const { mounts } = mountsOf(() => WITH_NFS, { "/data": "/srv/mail/data" });
  assertFalse(mounts.isLocal("/var/spool"), "not known yet");
  assert(await settled(mounts, "/var/spool"));
  assertFalse(await settled(mounts, "/srv/mail/example.org/new"));
  assertFalse(await settled(mounts, "/data"), "a symbolic link leads there");
  assert(await settled(mounts, "/srv/mail/local/x"));
  assert(await settled(mounts, "/srv/mailbox"));
  assertFalse(await settled(mounts, "/srv/with space/x"));
});

Deno.test("a machine that does not tell its mounts has no local folder", async () => {
  const { mounts } = mountsOf(() => undefined);
  assertFalse(await settled(mounts, "/var/spool"));
  const failing = mountsOf(() => {
    throw new Deno.errors.NotFound("no /proc");
  });
  assertFalse(await settled(failing.mounts, "/var/spool"));
});

Deno.test("what is mounted later is noticed within ten seconds", async () => {
  let text = DISKS;
  const { mounts, clock } = mountsOf(() => text);
  assert(mounts.isLocal("/srv/mail/a"));
  text = WITH_NFS;
  await clock.advance(9_999);
  assert(mounts.isLocal("/srv/mail/a"));
  await clock.advance(1);
  assertFalse(await settled(mounts, "/srv/mail/a"));
});

Deno.test("a folder whose server hangs is asked for once", async () => {
  const clock = new FakeClock(undefined, true);
  let asked = 0;
  const mounts = new Mounts({
    readMounts: () => WITH_NFS,
    realPath: () => {
      asked++;
      return new Promise(() => {});
    },
    clock,
  });
  for (let times = 0; times < 5; times++) {
    assertFalse(await settled(mounts, "/srv/mail/hung"));
    await clock.advance(10_000);
  }
  assertEquals(asked, 1);
});
