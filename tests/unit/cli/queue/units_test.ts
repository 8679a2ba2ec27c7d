import { assertEquals } from "@std/assert";
import { atText, durationText, sizeText, timeText } from "../../../../lib/cli/queue/units.ts";
import { destinationLines } from "../../../../lib/cli/queue/destinations.ts";

Deno.test("durations are told in the largest unit of which there are two", () => {
  const texts = [-5, 0, 999, 60_000, 119_999, 120_000, 7_199_000, 7_200_000, 47 * 3_600_000, 48 * 3_600_000].map(
    durationText,
  );
  assertEquals(texts, ["0 s", "0 s", "0 s", "60 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
});

Deno.test("sizes are told with two digits, or as octets", () => {
  assertEquals([0, 1023, 1024, 12_700, 1_048_575, 1_048_576, 5_300_000_000].map(sizeText), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "12 KiB",
    "1.0 MiB",
    "1.0 MiB",
    "4.9 GiB",
  ]);
});

Deno.test("times name the day and the year only where they are others", () => {
  const now = Date.parse("2026-11-27T13:00:00Z");
  const times = ["2026-11-27T00:05:00Z", "2026-11-28T00:05:00Z", "2027-11-27T00:05:00Z"].map((time) =>
    Date.parse(time)
  );
  assertEquals(times.map((time) => timeText(time, now)), ["00:05 UTC", "28 Nov 00:05 UTC", "27 Nov 2027 00:05 UTC"]);
  assertEquals(times.map((time) => atText(time, now).slice(0, 3)), ["at ", "on ", "on "]);
  assertEquals(timeText(NaN, now), "an unknown time");
});

Deno.test("the table of destinations has room for as many as there are", () => {
  const status = { state: "open", running: 0, waiting: 0, concurrency: 5 } as const;
  const statuses = Array.from({ length: 200_000 }, (_, number) => ({ key: `a-host-of-site-${number}`, ...status }));
  const lines = destinationLines(statuses, 0);
  assertEquals([lines.length, lines[1]], [200_002, "a-host-of-site-0      open             0      5        0"]);
});
