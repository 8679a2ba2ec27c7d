import { assertEquals, assertLess, assertRejects } from "@std/assert";
import { gzip, TooLongError } from "../../../../lib/reports/gzip.ts";
import { unpack } from "../../../../lib/reports/received/unpack.ts";
import { zip } from "../zip.ts";

const encoder = new TextEncoder();
const XML = encoder.encode("<feedback>ü</feedback>");

Deno.test("A report is unpacked by what it is, not by its name", async () => {
  const expected = [{ kind: "xml" as const, text: "<feedback>ü</feedback>" }];
  assertEquals(await unpack(XML), expected);
  assertEquals(await unpack(await gzip(XML)), expected);
  assertEquals(await unpack(await zip([{ name: "a!b!1!2.xml", octets: XML }])), expected);
  assertEquals(await unpack(await zip([{ name: "a.xml", octets: XML, isStored: true }])), expected);
  assertEquals(await unpack(encoder.encode(' {"policies":[]}')), [{ kind: "json", text: ' {"policies":[]}' }]);
  assertEquals(await unpack(encoder.encode("%PDF-1.7")), []);
});

Deno.test("A report in Latin-1 is read as its declaration says", async () => {
  const text = '<?xml version="1.0" encoding="ISO-8859-1"?><feedback>\u00fc</feedback>';
  const octets = Uint8Array.from(text, (character) => character.charCodeAt(0));
  assertEquals((await unpack(octets))[0]?.text, text);
});

Deno.test("Of a zip file everything that may be a report is taken, other files are not", async () => {
  const packed = await zip([
    { name: "readme.txt", octets: encoder.encode("<feedback/>") },
    { name: "a.xml", octets: XML },
    { name: "folder/b.JSON", octets: encoder.encode("{}") },
  ]);
  assertEquals((await unpack(packed)).map(({ kind }) => kind), ["xml", "json"]);
});

Deno.test("What would unpack to 30 MB is given up early, in gzip and in all files of a zip together", async () => {
  const zeros = new Uint8Array(30 * 2 ** 20);
  const bomb = await gzip(zeros);
  assertLess(bomb.length, 60_000);
  await assertRejects(() => unpack(bomb), TooLongError);
  await assertRejects(
    async () => await unpack(await zip([{ name: "a.xml", octets: zeros.subarray(0, 11 * 2 ** 20) }])),
    TooLongError,
  );
  const files = Array.from({ length: 10 }, (_, i) => ({ name: `${i}.xml`, octets: new Uint8Array(10_000) }));
  await assertRejects(async () => await unpack(await zip(files), 50_000), TooLongError);
});

Deno.test("Damaged files are errors", async () => {
  const packed = await gzip(XML);
  await assertRejects(() => unpack(packed.slice(0, 15)), TypeError);
  const file = await zip([{ name: "a.xml", octets: XML }]);
  await assertRejects(() => unpack(file.slice(0, 40)), TypeError);
  const elsewhere = file.slice();
  elsewhere.fill(0xff, elsewhere.length - 6, elsewhere.length - 2);
  await assertRejects(() => unpack(elsewhere), TypeError);
});
