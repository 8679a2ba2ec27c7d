import { assertEquals } from "@std/assert";
import { isOwnAddress } from "../../../lib/cli/own_addresses.ts";
import type { ListenerConfig } from "../../../lib/config/config.ts";

function listeners(...hosts: string[]): ListenerConfig[] {
  return hosts.map((host) => ({ bind: { kind: "tcp", host, port: 25 }, service: "mx" }) as unknown as ListenerConfig);
}

const INTERFACES = (): readonly string[] => ["192.0.2.1", "2001:db8::1"];

for (
  const [bound, own, others] of [
    ["2001:DB8:0::1", ["2001:db8::1", "2001:db8:0:0::1"], ["::1", "::", "192.0.2.1"]],
    ["192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], ["127.0.0.1", "192.0.2.2", "2001:db8::1"]],
    ["0.0.0.0", ["192.0.2.1", "127.0.0.1", "127.1.2.3", "0.0.0.0", "::ffff:127.0.0.1"], ["::1", "::", "2001:db8::1"]],
    ["::", ["192.0.2.1", "2001:db8::1", "::1", "::", "0.0.0.0", "::ffff:7f00:1", "127.0.0.1"], ["2001:db8::2"]],
    // Who connects to no address in particular reaches this machine, by loopback.
    ["127.0.0.1", ["127.0.0.1", "0.0.0.0", "::ffff:0.0.0.0"], ["192.0.2.1", "::"]],
  ] as const
) {
  Deno.test(`a listener on ${bound} is reached at ${own.join(", ")}`, () => {
    const found = [...own, ...others].filter((host) => isOwnAddress(listeners(bound), INTERFACES, host, 25));
    assertEquals(found, [...own]);
    assertEquals(isOwnAddress(listeners(bound), INTERFACES, own[0], 587), false);
  });
}
