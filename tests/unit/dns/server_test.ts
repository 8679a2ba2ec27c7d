import { assertEquals } from "@std/assert";
import { isLocalServer } from "../../../lib/dns/server.ts";

Deno.test("a server with a loopback address is on this machine, but not the forwarder of Docker", () => {
  const isLocal = (host: string): boolean => isLocalServer({ host, port: 53 });
  assertEquals(["127.0.0.1", "127.0.0.53", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1"].map(isLocal), Array(5).fill(true));
  assertEquals(
    ["127.0.0.11", "192.0.2.1", "128.0.0.1", "::", "::2", "fe80::1%lo", "2001:db8::1", "::ffff:127.0.0.1"].map(isLocal),
    Array(8).fill(false),
  );
});
