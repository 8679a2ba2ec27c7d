/** Authentication-Results of others (RFC 8601 appendix B, and what large providers write). */

import { assertEquals } from "@std/assert";
import { parseResults } from "../../../../lib/msgauth/authentication_results/parse.ts";

/** `method=result reason type.name=value …` of each result, behind the id. */
function read(text: string): readonly string[] | undefined {
  const parsed = parseResults(text);
  return parsed && [
    parsed.authservId,
    ...parsed.results.map(({ method, result, reason, properties }) =>
      [
        `${method}=${result}`,
        ...(reason === undefined ? [] : [`reason=${reason}`]),
        ...properties.map(({ type, name, value }) => `${type}.${name}=${value}`),
      ].join(" ")
    ),
  ];
}

Deno.test("The examples of RFC 8601 appendix B are read", () => {
  assertEquals(read(" example.org 1; none"), ["example.org"]);
  assertEquals(read(" example.com;\r\n spf=pass smtp.mailfrom=example.net"), [
    "example.com",
    "spf=pass smtp.mailfrom=example.net",
  ]);
  assertEquals(
    read(
      " example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n" +
        "          spf=pass smtp.mailfrom=example.net",
    ),
    ["example.com", "auth=pass smtp.auth=sender@example.net", "spf=pass smtp.mailfrom=example.net"],
  );
  assertEquals(
    read(
      ' example.com;\r\n dkim=pass reason="good signature"\r\n header.i=@mail-router.example.net;\r\n' +
        ' dkim=fail reason="bad signature"\r\n header.i=@newyork.example.com',
    ),
    [
      "example.com",
      "dkim=pass reason=good signature header.i=@mail-router.example.net",
      "dkim=fail reason=bad signature header.i=@newyork.example.com",
    ],
  );
  assertEquals(
    read(
      " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n" +
        " policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
    ),
    ["foo.example.net", "dkim=fail policy.expired=1362471462"],
  );
});

Deno.test("Fields of large providers are read, though their values break the grammar", () => {
  assertEquals(
    read(
      "mx.google.com;\r\n       dkim=pass header.i=@example.com header.s=s1 header.b=AbC/eF+g;\r\n" +
        "       spf=pass (google.com: domain of a@example.com designates 192.0.2.1 as permitted sender) " +
        "smtp.mailfrom=b=c+d@example.com;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com",
    ),
    [
      "mx.google.com",
      "dkim=pass header.i=@example.com header.s=s1 header.b=AbC/eF+g",
      "spf=pass smtp.mailfrom=b=c+d@example.com",
      "dmarc=pass header.from=example.com",
    ],
  );
  assertEquals(
    read(
      "mx.microsoft.com 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=a.example smtp.mailfrom=b.example; " +
        "dmarc=pass (p=reject sp=reject pct=100) action=none header.from=b.example; dkim=none (message not signed); arc=none",
    ),
    [
      "mx.microsoft.com",
      "spf=pass smtp.rcpttodomain=a.example smtp.mailfrom=b.example",
      "dmarc=pass header.from=b.example",
      "dkim=none",
      "arc=none",
    ],
  );
});

Deno.test("Quoted strings keep their content, and comments may hold anything", () => {
  assertEquals(read('"a;b\\"c" ; x=pass (;"\\)(n)) a.b="x; y" a.c="l m"@example.org'), [
    'a;b"c',
    "x=pass a.b=x; y a.c=l m@example.org",
  ]);
});

Deno.test("What cannot be read is passed over, a field that cannot be is undefined", () => {
  assertEquals(read("a; =pass; dkim; spf=; x/2=pass; ; dkim=pass header.d; spf=pass"), ["a", "dkim=pass", "spf=pass"]);
  for (const text of ["", " ", "; spf=pass", "(x", 'a"', "a 2; spf=pass", "a b; spf=pass", "x".repeat(70_000)]) {
    assertEquals(read(text), undefined, text.slice(0, 30));
  }
});

Deno.test("A hundred results are read of a field that has more", () => {
  assertEquals(parseResults(`a${";spf=pass".repeat(5000)}`)?.results.length, 100);
});
