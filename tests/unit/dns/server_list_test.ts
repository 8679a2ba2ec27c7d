import { assertEquals } from "@std/assert";
import { configure, getLogger, type LogRecord, reset } from "@logtape/logtape";
import { ServerList } from "../../../lib/dns/server_list.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((host) => ({ host, port: 53 })) as [
  { host: string; port: number },
  { host: string; port: number },
  { host: string; port: number },
];

Deno.test("Servers that failed come after the others, and one lookup tries them when their time is over", async () => {
  const clock = new FakeClock();
  const servers = new ServerList([one, two, three], clock);
  assertEquals(servers.inOrder(), [one, two, three]);
  servers.failed(one, "no answer");
  assertEquals(servers.inOrder(), [two, three, one]);
  await clock.advance(1000);
  servers.failed(two, "no answer");
  assertEquals(servers.inOrder(), [three, one, two]);
  servers.answered(two);
  assertEquals(servers.inOrder(), [two, three, one]);
  await clock.advance(29_000);
  assertEquals(servers.inOrder(), [one, two, three]);
  assertEquals(servers.inOrder(), [two, three, one], "only one lookup tries");
  servers.answered(one);
  assertEquals(servers.inOrder(), [one, two, three]);
});

Deno.test("One line says that a server fails, one that it answers again", async () => {
  const records: LogRecord[] = [];
  await configure({
    sinks: { list: (record) => void records.push(record) },
    loggers: [
      { category: ["posthorn", "dns"], sinks: ["list"] },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
    ],
  });
  try {
    const servers = new ServerList([one], new FakeClock(), getLogger(["posthorn", "dns"]));
    servers.failed(one, "gave no answer within 2000 ms");
    servers.answered(one);
    for (let i = 0; i < 5; i++) servers.failed(one, "gave no answer within 2000 ms");
    servers.answered(one);
    servers.answered(one);
  } finally {
    await reset();
  }
  assertEquals(records.map(({ level, message }) => `${level} ${message.join("")}`), [
    "warning DNS server 192.0.2.1:53 failed 3 times in a row: gave no answer within 2000 ms",
    "info DNS server 192.0.2.1:53 answers again",
  ]);
});
