import { assertEquals, assertMatch } from "@std/assert";
import type { DnsAnswer, Resolver } from "../../../lib/dns/resolver.ts";
import { ShareResolver } from "../../../lib/dns/share_resolver.ts";

const ANSWER: DnsAnswer<never> = { kind: "noName", isSecure: false, ttlSeconds: 60 };

Deno.test("A share never has more lookups under way than it may, and those in line follow or give up", async () => {
  const asked: string[] = [];
  const ends: (() => void)[] = [];
  const resolver: Resolver = {
    lookup: (name) => {
      asked.push(name);
      return new Promise((resolve) => ends.push(() => resolve(ANSWER)));
    },
  };
  const share = new ShareResolver(resolver, 2);
  const impatient = new AbortController();
  const [one, two] = [share.lookup("1.example", "A"), share.lookup("2.example", "A")];
  const [three, four] = [share.lookup("3.example", "A", impatient.signal), share.lookup("4.example", "A")];
  assertEquals(asked, ["1.example", "2.example"]);
  impatient.abort();
  const given = await three;
  assertEquals(given.kind, "failed");
  assertMatch(given.kind === "failed" ? given.reason : "", /A of 3\.example/);
  ends[0]?.();
  assertEquals(await one, ANSWER);
  await Promise.resolve();
  assertEquals(asked, ["1.example", "2.example", "4.example"]);
  for (const end of ends) end();
  assertEquals(await Promise.all([two, four]), [ANSWER, ANSWER]);
});
