import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ConfigError } from "../../lib/config/errors.ts";
import { loadConfig } from "../../lib/config/load.ts";
import { parseDuration, parseHostPort, parseSize } from "../../lib/config/values.ts";

const sample = await Deno.readTextFile(new URL("../../config.example.yaml", import.meta.url));

/** Loads text; the problems, or none. */
async function problemsOf(text: string): Promise<ConfigError | undefined> {
  const io = { readText: (): Promise<string> => Promise.resolve(text), env: (): string | undefined => undefined };
  try {
    await loadConfig("/posthorn.yaml", io);
    return undefined;
  } catch (error) {
    assert(error instanceof ConfigError, `${error instanceof Error ? error.stack : error}`);
    return error;
  }
}

/** Every problem stands inside the file, and they are in order. */
function checkPlaces(text: string, { problems }: ConfigError): void {
  const lines = text.split("\n");
  assert(problems.length > 0);
  let last = 0;
  for (const { line, column, message } of problems) {
    const place = line * 1e6 + column;
    assert(place >= last && line <= lines.length && column <= (lines[line - 1] ?? "").length + 1, `${line}:${column}`);
    assert(message !== "" && !message.includes("\n"));
    last = place;
  }
}

Deno.test("No text makes reading the configuration throw anything but problems with places inside it", async () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      "hostname: ",
      "domains:\n",
      "  ",
      "{",
      "}",
      "[",
      "]",
      "*a",
      "&a ",
      "!file ",
      "${",
      "}",
      "- ",
      "? ",
      "|\n",
      '"',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 12 }), async (words) => {
      const text = words.join("");
      const error = await problemsOf(text);
      assert(error !== undefined, "nothing is required");
      checkPlaces(text, error);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("A damaged example configuration is read, or refused with places inside it", async () => {
  const plain = sample.replace(/^ *#.*\n/gm, "");
  const damage = fc.record({ at: fc.nat(plain.length), length: fc.nat(10), put: fc.string({ maxLength: 4 }) });
  await fc.assert(
    fc.asyncProperty(damage, async ({ at, length, put }) => {
      const text = plain.slice(0, at) + put + plain.slice(at + length);
      const error = await problemsOf(text);
      if (error !== undefined) checkPlaces(text, error);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("Problems behind a syntax error stand on the lines where they are", async () => {
  const error = await problemsOf('hostname: mail.example.org\n]@\n\nlisteners:\n  - { bind: "[::]:25" }\n');
  assertEquals(error?.problems.map(({ line, column }) => [line, column]), [[2, 1], [4, 10], [5, 3]]);
});

Deno.test("Durations and sizes are what was written", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 366 }), (count) => {
    assertEquals(parseDuration(`${count}s`), count * 1_000);
    assertEquals(parseDuration(`${count}m`), count * 60_000);
    assertEquals(parseDuration(`${count}h`), count * 3_600_000);
    assertEquals(parseDuration(`${count}d`), count * 86_400_000);
    assertEquals(parseSize(`${count}`), count);
    assertEquals(parseSize(`${count}KiB`), count * 1_024);
    assertEquals(parseSize(`${count}MiB`), count * 1_048_576);
    assertEquals(parseSize(`${count}GiB`), count * 1_073_741_824);
  }));
});

Deno.test("A host and a port are read back from every way to write them", () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.ipV6().map((text) => text.toLowerCase()),
    fc.constantFrom("localhost", "mx.example.org"),
  );
  fc.assert(fc.property(host, fc.integer({ min: 1, max: 65_535 }), (host, port) => {
    const written = host.includes(":") ? `[${host}]` : host;
    assertEquals(parseHostPort(`${written}:${port}`), { host, port });
    assertEquals(parseHostPort(written), { host });
    assertEquals(parseHostPort(`${written}:${port + 65_535}`), undefined);
  }));
});
