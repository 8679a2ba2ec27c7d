import { assert, assertEquals, assertFalse } from "@std/assert";
import { LocalFolders, type ReadFileSystemType, systemFileSystemType } from "../../../lib/system/local_folders.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const EXT4 = 0xef53;
const NFS = 0x6969;
const FUSE = 0x65735546;

function foldersOf(readType: ReadFileSystemType | undefined): { folders: LocalFolders; clock: FakeClock } {
  const clock = new FakeClock(undefined, true);
  return { folders: new LocalFolders({ readType, clock }), clock };
}

/** As somebody finds who asks again a little later. */
async function settled(folders: LocalFolders, folder: string): Promise<boolean> {
  folders.isLocal(folder);
  for (let turns = 0; turns < 5; turns++) await Promise.resolve();
  return folders.isLocal(folder);
}

Deno.test("a folder on a disk is local once that is known, one of a server or a program never is", async () => {
  const types: Record<string, number> = { "/var/mail": EXT4, "/srv/nfs": NFS, "/home/a/sshfs": FUSE };
  const { folders } = foldersOf((folder) => Promise.resolve(types[folder] ?? 0));
  assertFalse(folders.isLocal("/var/mail"), "not known yet");
  assert(await settled(folders, "/var/mail"));
  assertFalse(await settled(folders, "/srv/nfs"));
  assertFalse(await settled(folders, "/home/a/sshfs"));
  assertFalse(await settled(folders, "/of/a/type/that/nobody/knows"));
});

Deno.test("what is not there, or cannot be told, is not local", async () => {
  assertFalse(await settled(foldersOf(undefined).folders, "/var/mail"));
  const missing = foldersOf(() => Promise.reject(new Deno.errors.NotFound("no such folder")));
  assertFalse(await settled(missing.folders, "/var/mail"));
});

Deno.test("what is mounted later is noticed within a minute", async () => {
  let type = EXT4;
  const { folders, clock } = foldersOf(() => Promise.resolve(type));
  assert(await settled(folders, "/srv/mail"));
  type = NFS;
  await clock.advance(59_999);
  assert(folders.isLocal("/srv/mail"));
  await clock.advance(1);
  assertFalse(await settled(folders, "/srv/mail"));
});

Deno.test("a folder whose server hangs is asked for once", async () => {
  let asked = 0;
  const { folders, clock } = foldersOf(() => {
    asked++;
    return new Promise(() => {});
  });
  for (let times = 0; times < 5; times++) {
    assertFalse(await settled(folders, "/srv/mail/hung"));
    await clock.advance(60_000);
  }
  assertEquals(asked, 1);
});

Deno.test({
  name: "this machine tells it to a program that has the permissions of `deno task start`, and not all of them",
  permissions: { net: true, read: true, write: true, env: true, sys: true, run: false, ffi: false },
  fn: async () => {
    assert(systemFileSystemType !== undefined);
    assert(await systemFileSystemType(Deno.cwd()) > 0);
  },
});
