import { assertEquals } from "@std/assert";
import { folderName, folderOnDisk } from "../../../../lib/delivery/mailbox/folder_name.ts";

Deno.test("Folder names become what Dovecot and Courier have on the disk", () => {
  const cases: Readonly<Record<string, string>> = {
    "Junk": ".Junk",
    "Archive.2026": ".Archive.2026",
    "Archive/2026": ".Archive.2026",
    "Sent Items": ".Sent Items",
    // RFC 3501 §5.1.3
    "~peter": "",
    "mail/台北/日本語": ".mail.&U,BTFw-.&ZeVnLIqe-",
    "Entwürfe": ".Entw&APw-rfe",
    "Entwu\u0308rfe": ".Entw&APw-rfe",
    "Tom & Jerry": ".Tom &- Jerry",
    "📎": ".&2D3czg-",
    "a~b": ".a~b",
  };
  for (const [name, folder] of Object.entries(cases)) assertEquals(folderOnDisk(name) ?? "", folder, name);
});

Deno.test("INBOX, in any case, is the mailbox itself; below it are folders as any others", () => {
  for (const name of ["INBOX", "inbox", "Inbox"]) assertEquals(folderOnDisk(name), "");
  assertEquals(folderOnDisk("INBOX.Sub"), ".INBOX.Sub");
});

Deno.test("Names that could lead elsewhere are none", () => {
  const unsafe = [
    ...["", ".", "..", "...", "/", "../x", "x/../y", "/etc", "a//b", "a..b", ".a", "a.", "a/", "./a"],
    ...["~", "~root", "~/x", "a\0b", "a\nb", "a\tb", "\u0085", "a\ud800b", "a".repeat(255), "ü".repeat(120)],
  ];
  for (const name of unsafe) assertEquals(folderOnDisk(name), undefined, JSON.stringify(name));
  assertEquals(folderOnDisk("a".repeat(254))?.length, 255);
});

Deno.test("Names on the disk are read, in modified UTF-7 and in UTF-8", () => {
  const cases: Readonly<Record<string, string>> = {
    ".Archive.2026": "Archive.2026",
    ".Entw&APw-rfe": "Entwürfe",
    ".Entwürfe": "Entwürfe",
    ".Entwu\u0308rfe": "Entwürfe",
    ".Tom &- Jerry": "Tom & Jerry",
    ".R&D": "R&D",
    // Not what an encoder writes: taken as it stands, never for another folder.
    ".&AC8-etc": "&AC8-etc",
    ".&AC4ALg-": "&AC4ALg-",
    ".&APx-": "&APx-",
    ".&APw": "&APw",
  };
  for (const [folder, name] of Object.entries(cases)) assertEquals(folderName(folder), name, folder);
});

Deno.test("What is no folder has no name", () => {
  for (const folder of ["", ".", "..", "cur", "...", ".a..b", ".a.", "..a", ".a\nb", ".&2D0-", ".INBOX"]) {
    assertEquals(folderName(folder), undefined, JSON.stringify(folder));
  }
});
