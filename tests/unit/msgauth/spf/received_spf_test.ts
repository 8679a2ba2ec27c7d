import { assertEquals, assertMatch } from "@std/assert";
import { composeReceivedSpf } from "../../../../lib/msgauth/spf/received_spf.ts";

const reception = {
  ip: "2001:db8::1",
  helo: "mail.sender.example",
  reversePath: "alice@sender.example",
  receiver: "mx.example.org",
};

Deno.test("Received-SPF says result and reason, folded before each key", () => {
  assertEquals(
    composeReceivedSpf(
      { identity: "mailfrom", domain: "sender.example", result: "pass", mechanism: "ip6:2001:db8::/32" },
      reception,
    ),
    "Received-SPF: pass (sender.example permits this client)\r\n" +
      "\treceiver=mx.example.org;\r\n" +
      '\tclient-ip="2001:db8::1";\r\n' +
      '\tenvelope-from="alice@sender.example";\r\n' +
      "\thelo=mail.sender.example;\r\n" +
      "\tidentity=mailfrom;\r\n" +
      '\tmechanism="ip6:2001:db8::/32"\r\n',
  );
});

Deno.test("nobody writes header fields by what Received-SPF repeats", () => {
  const evil = 'x"\\)\r\nSubject: é (';
  const field = composeReceivedSpf(
    { identity: "helo", domain: evil, result: "permerror", problem: evil.repeat(100) },
    { ip: evil, helo: evil, reversePath: "", receiver: evil },
  );
  assertMatch(field, /^Received-SPF: [\x20-\x7e]+(?:\r\n\t[\x20-\x7e]+)+\r\n$/);
  assertMatch(field, /\(x"\\\\\\\)\?\?Subject: \? \\\( publishes/);
  assertMatch(field, /helo="x\\"\\\\\)\?\?Subject: \? \(";/);
  assertMatch(field, /envelope-from="";/);
  for (const line of field.split("\r\n")) assertEquals(line.length < 998, true);
});
