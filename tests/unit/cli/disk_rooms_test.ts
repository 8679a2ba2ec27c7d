import { assertEquals } from "@std/assert";
import { diskRooms } from "../../../lib/cli/disk_rooms.ts";
import type { Config } from "../../../lib/config/config.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { LogLines } from "../../support/log_lines.ts";

const MIB = 2 ** 20;

Deno.test("Mailboxes take mail until a tenth of the limit is left, new mail comes until the limit is", async () => {
  const config = { data: "/data", limits: { freeSpace: { octets: 100 * MIB } } } as Config;
  const folders: string[] = [];
  let free = 0;
  const rooms = diskRooms({
    config: () => config,
    clock: new FakeClock(undefined, true),
    logger: new LogLines(),
    read: (folder) => {
      folders.push(folder);
      return Promise.resolve({ octets: free, totalOctets: 1000 * MIB });
    },
  });
  free = 50 * MIB;
  assertEquals([await rooms?.spool.hasRoomFor(0), await rooms?.mail.hasRoomFor(0)], [false, true]);
  assertEquals(await rooms?.mail.hasRoomFor(41 * MIB), false);
  assertEquals(folders, ["/data/spool", "/data/mail"]);
});
