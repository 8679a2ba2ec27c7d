import { assert, assertEquals, assertFalse } from "@std/assert";
import { DiskSpace, type SpaceLimit } from "../../../lib/system/disk_space.ts";
import { type FreeSpace, systemFreeSpace } from "../../../lib/system/free_space.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { LogLines } from "../../support/log_lines.ts";

const MIB = 2 ** 20;

/** A disk of 1000 MiB and 100,000 inodes, and its mark. */
class Lab {
  readonly clock = new FakeClock(undefined, true);
  readonly log = new LogLines();
  free: FreeSpace = { octets: 500 * MIB, totalOctets: 1000 * MIB, files: 50_000, totalFiles: 100_000 };
  error: Error | undefined;
  hangs = false;
  /** Lets what hangs answer. */
  answer = (): void => {};
  asked = 0;
  readonly disk: DiskSpace;

  constructor(public limit: SpaceLimit, share = 1) {
    this.disk = new DiskSpace({
      folder: "/data/spool",
      read: () => {
        this.asked++;
        if (this.hangs) return new Promise((resolve) => this.answer = () => resolve(this.free));
        return this.error === undefined ? Promise.resolve(this.free) : Promise.reject(this.error);
      },
      limit: () => this.limit,
      share,
      clock: this.clock,
      logger: this.log,
      effect: "mail is refused",
      recovery: "mail is taken",
    });
  }

  /** Asks with this much free, a while later. */
  async with(free: Partial<FreeSpace>, octets = 0): Promise<boolean> {
    this.free = { ...this.free, ...free };
    this.clock.skip(1_000);
    return await this.disk.hasRoomFor(octets);
  }
}

Deno.test("Below the limit there is no room, and the log says so once at the beginning and once at the end", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  assert(await lab.with({ octets: 100 * MIB }));
  assertFalse(await lab.with({ octets: 100 * MIB - 1 }));
  assertFalse(await lab.with({ octets: 90 * MIB }));
  assertFalse(await lab.with({ octets: 105 * MIB }), "a little more is not enough: it would begin again at once");
  assert(await lab.with({ octets: 110 * MIB }));
  assert(await lab.with({ octets: 101 * MIB }));
  assertEquals(lab.log.lines, [
    "warning: Little room on the disk of /data/spool: 100 MiB and 50000 files left, the limit is 100 MiB and 1000 files; mail is refused",
    "info: Room again on the disk of /data/spool: 110 MiB and 50000 files left, the limit is 100 MiB and 1000 files; mail is taken",
  ]);
});

Deno.test("What is announced to come counts as if it were there", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  assert(await lab.with({ octets: 150 * MIB }, 50 * MIB));
  assertFalse(await lab.with({ octets: 150 * MIB }, 50 * MIB + 1));
  assertEquals(lab.log.lines, [], "the disk itself is fine");
});

Deno.test("Of a size and a percentage the smaller one counts", async () => {
  const lab = new Lab({ octets: 100 * MIB, percent: 2 });
  assert(await lab.with({ octets: 20 * MIB }));
  assertFalse(await lab.with({ octets: 20 * MIB - 1 }));
  lab.limit = { octets: 10 * MIB, percent: 2 };
  assert(await lab.with({ octets: 11 * MIB }), "a reload takes effect");
});

Deno.test("A share of the limit is a lower mark", async () => {
  const lab = new Lab({ octets: 100 * MIB }, 0.1);
  assert(await lab.with({ octets: 11 * MIB }, MIB));
  assertFalse(await lab.with({ octets: 11 * MIB }, 2 * MIB));
});

Deno.test("Too few inodes are no room either", async () => {
  const lab = new Lab({ octets: 100 * MIB, percent: 2 });
  assertFalse(await lab.with({ files: 999 }));
  assert(await lab.with({ files: 1_100 }));
  assertFalse(await lab.with({ files: 19, totalFiles: 1_000 }));
  assert(await lab.with({ files: 22 }));
});

Deno.test("A file system without a table of inodes is judged by its octets alone", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  lab.free = { octets: 100 * MIB, totalOctets: 1000 * MIB };
  assert(await lab.with({}));
  assertFalse(await lab.with({ octets: MIB }));
});

Deno.test("A limit of 0 switches it off", async () => {
  const lab = new Lab({ octets: 0 });
  assert(await lab.with({ octets: 0, files: 0 }, MIB));
  assertEquals(lab.log.lines, []);
});

Deno.test("The system is asked at most once a second, and whoever comes meanwhile does not wait", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  const first = lab.disk.hasRoomFor(0);
  const second = lab.disk.hasRoomFor(0);
  assert(first instanceof Promise && second instanceof Promise);
  assertEquals([await first, await second, lab.asked], [true, true, 1]);
  lab.clock.skip(999);
  assertEquals(lab.disk.hasRoomFor(0), true);
  assertEquals(lab.asked, 1);
  lab.clock.skip(1);
  assert(lab.disk.hasRoomFor(0) instanceof Promise);
  assertEquals(lab.asked, 2);
});

Deno.test("A disk that does not answer is waited for no longer than a second, and asked no second time", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  assertFalse(await lab.with({ octets: 0 }));
  lab.hangs = true;
  lab.clock.skip(1_000);
  const answer = lab.disk.hasRoomFor(0);
  await lab.clock.advance(1_000);
  assertEquals(await answer, true, "the write will tell");
  lab.clock.skip(60_000);
  assertEquals(lab.disk.hasRoomFor(0), true);
  assertEquals(lab.asked, 2);
});

Deno.test("A disk that answers late is believed, and asked again from then on", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  lab.hangs = true;
  const first = lab.disk.hasRoomFor(0);
  await lab.clock.advance(1_000);
  assertEquals(await first, true);
  lab.free = { ...lab.free, octets: 0 };
  lab.answer();
  await lab.clock.advance(0);
  assertEquals(await lab.disk.hasRoomFor(0), false);
  lab.hangs = false;
  assert(await lab.with({ octets: 500 * MIB }));
  assertEquals(lab.asked, 2);
});

Deno.test("Where the system cannot tell, mail is taken, with one line in the log", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  lab.error = Object.assign(new Error("EIO: i/o error, statfs '/data/spool'"), { code: "EIO" });
  assert(await lab.with({}));
  assert(await lab.with({}));
  assertEquals(lab.log.lines, [
    "warning: Cannot tell how much room is left on the disk of /data/spool, going on without: EIO: i/o error, statfs '/data/spool'",
  ]);
});

Deno.test("A folder that is not there yet is no fault", async () => {
  const lab = new Lab({ octets: 100 * MIB });
  lab.error = Object.assign(new Error("ENOENT: no such file or directory"), { code: "ENOENT" });
  assert(await lab.with({}));
  assertEquals(lab.log.lines, []);
});

Deno.test("This machine tells how much room it has", async () => {
  const free = await systemFreeSpace?.("/");
  assert(free !== undefined && free.octets > 0 && free.octets < free.totalOctets, JSON.stringify(free));
  const error = await systemFreeSpace?.("/nowhere/at/all").catch((error: unknown) => error);
  assertEquals((error as { code?: string }).code, "ENOENT");
});
