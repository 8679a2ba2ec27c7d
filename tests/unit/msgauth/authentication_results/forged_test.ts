/** Which Authentication-Results of an incoming message are taken out. */

import { assertEquals } from "@std/assert";
import { forgedFields, isForged } from "../../../../lib/msgauth/authentication_results/forged.ts";
import { fieldValue } from "../../../../lib/mail/header.ts";

const ID = "mail.example.org";

Deno.test("A field that anybody could take for ours is forged", () => {
  for (
    const value of [
      "mail.example.org; spf=pass",
      "MAIL.Example.ORG; spf=pass",
      "mail.example.org",
      "mail.example.org 1; spf=pass",
      "mail.example.org/1; none",
      "mail.example.org.; none",
      '"mail.example.org"; none',
      '"mail\\.example.org"; none',
      '"mail"."example.org"; none',
      "mail . example . org; none",
      "(x) mail.example.org (y) 1; none",
      "(;) mail.example.org; none",
      '";" mail.example.org; none',
      "(a(b)c\\)) mail.example.org; none",
      "m(x)ail.example.org; none",
      "(mail.example.org; spf=pass",
      '"mail.example.org; spf=pass',
      "=?utf-8?q?mail.example.org?=; none",
      "mail.example.org\0; none",
      "mail\u200b.example.org; none",
      "(m\\ail.example.org; none",
      "mail.example.org.evil.example; none",
      "x@mail.example.org; none",
      "x mail.example.org; none",
    ]
  ) assertEquals(isForged(value, ID), true, value);
  assertEquals(isForged("post.bücher.example; none", "post.xn--bcher-kva.example"), true);
  assertEquals(isForged("post.BU\u0308CHER.example; none", "post.xn--bcher-kva.example"), true);
});

Deno.test("Fields of others stay, whatever their results name", () => {
  for (
    const value of [
      "mx.example.com; spf=pass smtp.mailfrom=mail.example.org",
      "mx.example.com; dkim=pass (mail.example.org) header.d=mail.example.org",
      "mx.mail.example.org; none",
      "hotmail.example.org; none",
      "example.org; none",
      "",
      ";",
    ]
  ) assertEquals(isForged(value, ID), false, value);
});

Deno.test("All forged fields of a header section are found, in any spelling of their name", () => {
  const header = new TextEncoder().encode(
    "Received: x\r\nAUTHENTICATION-results : mail.\r\n example.org; none\r\n" +
      "Authentication-Results: other.example;\r\n spf=pass\r\nauthentication-results:\r\n (x)\r\n\tmail.example.org;\r\n\tnone\r\n" +
      "ARC-Authentication-Results: i=1; mail.example.org; none\r\n",
  );
  const values = forgedFields(header, ID).map((field) => fieldValue(header, field));
  assertEquals(values, ["mail. example.org; none", "(x)\tmail.example.org;\tnone"]);
});
