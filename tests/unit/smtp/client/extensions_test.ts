import { assertEquals } from "@std/assert";
import { NO_EXTENSIONS, parseExtensions, type PeerExtensions } from "../../../../lib/smtp/client/extensions.ts";

function parse(...lines: string[]): PeerExtensions {
  return parseExtensions({ code: 250, lines: ["mx.test greets you", ...lines] });
}

Deno.test("keywords are read in any case, and unknown ones are skipped", () => {
  assertEquals(parse("pipelining", "8BitMime", "X-WHATEVER a b", "", "CHUNKING"), {
    ...NO_EXTENSIONS,
    pipelining: true,
    eightBitMime: true,
    chunking: true,
  });
});

Deno.test("SIZE may have a limit, none, zero, or nonsense", () => {
  assertEquals(parse("SIZE 1000").maxMessageOctets, 1000);
  for (const line of ["SIZE", "SIZE 0", "SIZE lots", "SIZE -1"]) {
    assertEquals([parse(line).size, parse(line).maxMessageOctets], [true, undefined]);
  }
});

Deno.test("LIMITS may have what is known, what is not, and nonsense", () => {
  assertEquals(parse("LIMITS RCPTMAX=50 MAILMAX=10 RCPTDOMAINMAX=1").limits, {
    rcptMax: 50,
    mailMax: 10,
    rcptDomainMax: 1,
  });
  assertEquals(parse("LIMITS RCPTMAX=0 MAILMAX X=5 RCPTMAX=x TOSTRING=4 RCPTMAX=7 RCPTMAX=8").limits, { rcptMax: 7 });
  assertEquals(parse("LIMITS").limits, {});
});

Deno.test("DELIVERBY may have a shortest time, or none", () => {
  assertEquals(parse("DELIVERBY 240").minDeliverBySeconds, 240);
  assertEquals(parse("DELIVERBY").minDeliverBySeconds, 0);
  assertEquals(parse("SIZE").minDeliverBySeconds, undefined);
});

Deno.test("mechanisms of AUTH and of the old AUTH= are joined", () => {
  assertEquals(parse("AUTH PLAIN", "AUTH=PLAIN login").authMechanisms, ["PLAIN", "LOGIN"]);
});

Deno.test("the greeting line is no extension", () => {
  assertEquals(parseExtensions({ code: 250, lines: ["STARTTLS"] }), NO_EXTENSIONS);
});
