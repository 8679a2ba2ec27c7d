import { assert, assertEquals, assertFalse, assertGreaterOrEqual } from "@std/assert";
import { ConfigError } from "../../../lib/config/errors.ts";
import { loadConfig } from "../../../lib/config/load.ts";

// Each file ends with the problems it must give, one a line, as `#! line:column: message`. Its name says what is wrong.
const folder = new URL("../../fixtures/config/wrong/", import.meta.url);
const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".yaml")).sort();

const io = {
  readText: (path: string): Promise<string> => Deno.readTextFile(path),
  env: (name: string): string | undefined => name === "SECRET" ? "hunter2" : undefined,
};

for (const name of names) {
  Deno.test(`Configuration with ${name.replace(/\.yaml$/, "")} is refused with every problem at its place`, async () => {
    const file = decodeURIComponent(new URL(encodeURIComponent(name), folder).pathname);
    const expected = (await Deno.readTextFile(file)).split("\n").filter((line) => line.startsWith("#! "))
      .map((line) => `${file}:${line.slice(3)}`).join("\n");
    const error = await loadConfig(file, io).then(() => undefined, (error: unknown) => error);
    assert(error instanceof ConfigError, `no ConfigError but ${error}`);
    assertEquals(error.message, expected);
    assertFalse(/hunter2|31415926/.test(error.message.replaceAll(file, "")), "a secret is shown");
  });
}

Deno.test("There are at least thirty wrong configuration files", () => assertGreaterOrEqual(names.length, 30));
