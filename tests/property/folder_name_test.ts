/** Names of folders come from strangers, who write them into addresses. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { normalize } from "node:path/posix";
import { folderName, folderOnDisk } from "../../lib/delivery/mailbox/folder_name.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 80 }),
  fc.string({ unit: "grapheme", maxLength: 80 }),
  fc.string({ unit: fc.constantFrom(".", "/", "~", "&", "-", "a", "A", "ü", "\0", "\\", "\ud800", "日", "+", ",") }),
);

Deno.test("no name leads out of its mailbox, or to what is no folder of it", () => {
  fc.assert(fc.property(anyText, (name) => {
    const folder = folderOnDisk(name);
    if (folder === undefined || folder === "") return;
    assert(/^\.[\x20-\x7e]+$/.test(folder), folder);
    assert(folder.length <= 255 && !folder.includes("/") && !folder.includes(".."), folder);
    assertEquals(normalize(`/mail/${folder}/new`), `/mail/${folder}/new`);
  }));
});

Deno.test("a name that was encoded is read back, in NFC and with dots between its levels", () => {
  fc.assert(fc.property(anyText, (name) => {
    const folder = folderOnDisk(name);
    if (folder === undefined || folder === "") return;
    assertEquals(folderName(folder), name.normalize("NFC").replaceAll("/", "."));
    assertEquals(folderOnDisk(folderName(folder) ?? ""), folder);
  }));
});

Deno.test("any name on the disk that is read means a folder of the mailbox", () => {
  fc.assert(fc.property(anyText, (text) => {
    const name = folderName(`.${text}`);
    if (name === undefined) return;
    assert(folderOnDisk(name));
    assertEquals(name.normalize("NFC"), name);
  }));
});
