/**
 * A closed DNS world inside a namespace: knot serves and signs the zone `test.`, unbound resolves and validates on
 * 127.0.0.1:53, `unsigned.` has no DNSSEC, `lame.` is delegated to a server that does not know it (SERVFAIL), and every
 * other name does not exist. Two zones below `test.` are not signed: `insecure.test.` may be so, `bogus.test.` may not. Nothing is kept longer than two seconds, so that a test sees a change soon.
 */

import { Daemon } from "./daemon.ts";
import type { Namespace } from "./namespace.ts";
import { programPath } from "./peers.ts";
import { waitUntil } from "./wait.ts";

const KNOT_PORT = 5300;
const RESOLVER = "127.0.0.1";
/** A DS record of a key that nobody has: what is below it cannot be validated. */
const LOST_KEY = `bogus DS 4711 13 2 ${"0".repeat(64)}`;

/** Records of the unsigned zones below `test.`, names relative to them. */
export interface UnsignedZones {
  readonly insecure?: readonly string[];
  readonly bogus?: readonly string[];
}

/** The two servers. */
export class DnsLab implements AsyncDisposable {
  readonly #namespace: Namespace;
  readonly #folder: string;
  #knot: Daemon | undefined;
  #unbound: Daemon | undefined;

  private constructor(namespace: Namespace, folder: string) {
    this.#namespace = namespace;
    this.#folder = folder;
  }

  /**
   * Starts both servers and makes the resolver known to the namespace.
   *
   * @param records Lines of the zone file of `test.`, names relative to it, e.g. `postfix MX 10 mx.postfix`.
   * @param folder Exists, and is entered by no other lab.
   * @param unsigned Records of `unsigned.`, names in full, e.g. `x.unsigned. MX 10 mx.test.`.
   * @param zones Records of `insecure.test.` and `bogus.test.`.
   */
  static async start(
    namespace: Namespace,
    folder: string,
    records: readonly string[],
    unsigned: readonly string[] = [],
    zones: UnsignedZones = {},
  ): Promise<DnsLab> {
    const lab = new DnsLab(namespace, folder);
    try {
      await lab.#writeZone(records, unsigned, zones);
      await lab.startAuthority();
      await Deno.writeTextFile(`${folder}/anchor.ds`, await lab.#delegationSigner());
      await lab.startResolver();
      await namespace.useResolver(RESOLVER, folder);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #writeZone(
    records: readonly string[],
    unsigned: readonly string[],
    { insecure = [], bogus = [] }: UnsignedZones,
  ): Promise<void> {
    const folder = this.#folder;
    await Deno.mkdir(`${folder}/knot`);
    const head = ["$TTL 1", "@ SOA ns.test. hostmaster.test. 1 3600 600 86400 1", "@ NS ns.test."];
    const children = ["ns A 127.0.0.1", "insecure NS ns", "bogus NS ns", LOST_KEY];
    for (
      const [origin, content] of [["test", [...children, ...records]], ["insecure.test", insecure], [
        "bogus.test",
        bogus,
      ]] as const
    ) {
      const lines = [`$ORIGIN ${origin}.`, ...head, ...content, ""];
      await Deno.writeTextFile(`${folder}/${origin}.zone`, lines.join("\n"));
    }
    await Deno.writeTextFile(
      `${folder}/knot.conf`,
      `server:
    rundir: ${folder}/knot
    listen: 127.0.0.1@${KNOT_PORT}
    background-workers: 1
    udp-workers: 1
    tcp-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: ${folder}/knot
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
    ksk-lifetime: 0
zone:
  - domain: test
    storage: ${folder}
    file: test.zone
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    dnssec-signing: on
    dnssec-policy: lab
  - domain: insecure.test
    storage: ${folder}
    file: insecure.test.zone
  - domain: bogus.test
    storage: ${folder}
    file: bogus.test.zone
`,
    );
    await Deno.writeTextFile(
      `${folder}/unbound.conf`,
      `server:
    directory: "${folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    log-servfail: yes
    val-log-level: 2
    num-threads: 1
    interface: ${RESOLVER}@53
    access-control: 127.0.0.0/8 allow
    do-ip6: no
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor-file: "${folder}/anchor.ds"
    cache-max-ttl: 1
    cache-max-negative-ttl: 1
    infra-host-ttl: 1
    local-zone: "." static
    local-data: ". 60 IN SOA localhost. nobody.localhost. 1 3600 600 86400 1"
    local-zone: "test." transparent
    local-zone: "lame." transparent
    local-zone: "127.in-addr.arpa." static
    local-zone: "unsigned." static
${unsigned.map((record) => `    local-data: "${record}"\n`).join("")}remote-control:
    control-enable: no
stub-zone:
    name: "test"
    stub-addr: 127.0.0.1@${KNOT_PORT}
stub-zone:
    name: "lame"
    stub-addr: 127.0.0.1@${KNOT_PORT}
`,
    );
  }

  /** Starts the authoritative server and waits until it answers. */
  async startAuthority(): Promise<void> {
    this.#knot = new Daemon([...this.#namespace.prefix, programPath("knotd"), "-c", `${this.#folder}/knot.conf`]);
    await this.#waitForAnswer(KNOT_PORT, "knot", () => this.#knot?.log ?? "");
  }

  /** Stops the authoritative server, and waits until the resolver has forgotten `name`: it then answers SERVFAIL. */
  async stopAuthority(name: string, type: string): Promise<void> {
    await this.#endAuthority();
    await waitUntil(async () => {
      const answer = await this.ask(name, type).catch(() => "");
      return answer.includes("status: NOERROR") ? undefined : true;
    }, { what: `the resolver to forget ${name}`, everyMs: 100 });
  }

  async #endAuthority(): Promise<void> {
    await this.#knot?.[Symbol.asyncDispose]();
    this.#knot = undefined;
  }

  /** Starts the resolver and waits until it answers. */
  async startResolver(): Promise<void> {
    this.#unbound = new Daemon([
      ...this.#namespace.prefix,
      programPath("unbound"),
      "-d",
      "-c",
      `${this.#folder}/unbound.conf`,
    ]);
    await this.#waitForAnswer(53, "unbound", () => this.#unbound?.log ?? "");
  }

  /** Stops the resolver: nobody listens on port 53. */
  async stopResolver(): Promise<void> {
    await this.#unbound?.[Symbol.asyncDispose]();
    this.#unbound = undefined;
  }

  /** Freezes or wakes the resolver: while it is frozen, questions are not answered at all. */
  freezeResolver(isFrozen: boolean): void {
    this.#unbound?.signal(isFrozen ? "SIGSTOP" : "SIGCONT");
  }

  /** Replaces the records of one name and type in `test.` while the servers run; `data` is one record, absent: none. */
  async change(name: string, type: string, data?: string): Promise<void> {
    const knotc = [programPath("knotc"), "-s", `${this.#folder}/knot/knot.sock`];
    const run = (...words: string[]): Promise<string> => this.#namespace.run([...knotc, ...words]);
    await run("zone-begin", "test");
    await run("zone-unset", "test", name, type).catch(() => "there was none");
    if (data !== undefined) await run("zone-set", "test", name, "1", type, data);
    await run("-b", "zone-commit", "test");
  }

  /** Asks the resolver; the answer as kdig prints it, with DNSSEC records and flags. */
  async ask(name: string, type: string): Promise<string> {
    return await this.#namespace.run([
      programPath("kdig"),
      `@${RESOLVER}`,
      "+dnssec",
      "+timeout=2",
      "+retry=0",
      name,
      type,
    ]);
  }

  async #waitForAnswer(port: number, name: string, detail: () => string): Promise<void> {
    const question = [
      programPath("kdig"),
      "@127.0.0.1",
      "-p",
      `${port}`,
      "+timeout=1",
      "+retry=0",
      "+short",
      "test",
      "SOA",
    ];
    await waitUntil(async () => {
      try {
        return (await this.#namespace.run(question)).includes("hostmaster") ? true : undefined;
      } catch {
        return undefined;
      }
    }, { what: `${name} to answer`, detail });
  }

  async #delegationSigner(): Promise<string> {
    const keys = await this.#namespace.run([programPath("keymgr"), "-c", `${this.#folder}/knot.conf`, "test", "ds"]);
    return keys.split("\n").filter((line) => / 13 2 /.test(line)).join("\n") + "\n";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unbound?.signal("SIGCONT");
    await this.stopResolver();
    await this.#endAuthority();
  }
}
