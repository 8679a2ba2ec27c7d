import { assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine, UsageError } from "../../../lib/cli/command_line.ts";
import { QUEUE_FLAGS } from "../../../lib/cli/queue/flags.ts";

const parse = (line: string): ReturnType<typeof parseCommandLine> =>
  parseCommandLine(line.split(" "), { queue: QUEUE_FLAGS });

Deno.test("queue ids of digits, or that look like numbers, stay as they are", () => {
  assertEquals(parse("queue hold 0123456789012345 12e4567890123456").words, [
    "hold",
    "0123456789012345",
    "12e4567890123456",
  ]);
});

Deno.test("flags of queue stand anywhere, with = or a blank", () => {
  const { words, flags, isJson, configFile } = parse(
    "--config c.yaml queue --domain x.example list --older-than=4h --reverse --json",
  );
  assertEquals([words, isJson, configFile], [["list"], true, "c.yaml"]);
  assertEquals([...flags], [["domain", "x.example"], ["older-than", "4h"], ["reverse", true]]);
});

for (
  const [line, message] of [
    ["queue list --domian x", 'unknown flag "--domian"'],
    ["serve --domain x", "serve does not take --domain"],
    ["user list --yes", "user does not take --yes"],
    ["queue list --domain x --domain y", "--domain is given twice"],
    ["queue --help", ""],
  ] as const
) {
  Deno.test(`"${line}" is refused: ${message || "shows the usage of queue"}`, () => {
    const error = assertThrows(() => parse(line), UsageError);
    assertEquals(error.message, message);
    assertEquals(error.usage, line.endsWith("--help") ? QUEUE_FLAGS.usage : undefined);
  });
}
