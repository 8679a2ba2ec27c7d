import { assertEquals, assertRejects } from "@std/assert";
import { parseResolvConf, systemServers } from "../../../lib/dns/system_servers.ts";

Deno.test("The nameserver lines of resolv.conf are read in their order", () => {
  const text = [
    "# nameserver 192.0.2.99",
    ";nameserver 192.0.2.98",
    "domain example.org",
    "nameserver 192.0.2.1",
    "nameserver\t2001:db8::1   # the second",
    "  nameserver fe80::1%eth0\r",
    "nameserver 192.0.2.1",
    "nameserver not-an-address",
    "nameserver",
    "nameservers 192.0.2.97",
    "options edns0 trust-ad",
  ].join("\n");
  assertEquals(parseResolvConf(text).map(({ host, port }) => `${host} ${port}`), [
    "192.0.2.1 53",
    "2001:db8::1 53",
    "fe80::1%eth0 53",
  ]);
});

Deno.test("Without a nameserver line, or without the file, the server is the machine itself", async () => {
  const local = [{ host: "127.0.0.1", port: 53 }];
  assertEquals<unknown>(parseResolvConf(""), local);
  assertEquals<unknown>(await systemServers(() => Promise.reject(new Deno.errors.NotFound())), local);
  const denied = (): Promise<string> => Promise.reject(new Deno.errors.PermissionDenied("no"));
  await assertRejects(() => systemServers(denied), Deno.errors.PermissionDenied);
  const servers = await systemServers((path) => Promise.resolve(`nameserver 192.0.2.${path.length}`));
  assertEquals<unknown>(servers, [{ host: "192.0.2.16", port: 53 }]);
});
