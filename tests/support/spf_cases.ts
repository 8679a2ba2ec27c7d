/** Generated SPF checks: zones with all mechanisms, modifiers and macros, and the connections that are checked on them. */

import { seededRandom } from "./seeded_random.ts";
import type { SpfZone, SpfZoneRecord } from "./spf_zone.ts";

/** A connection, and the DNS that it meets. */
export interface SpfCase {
  readonly ip: string;
  readonly helo: string;
  readonly reversePath: string;
  readonly zone: SpfZone;
}

const DOMAINS = ["d0.example", "d1.example", "d2.example", "sub.d0.example", "d3.example", "d4.example"];
const HOSTS = [
  "mail.d0.example",
  "out.d1.example",
  "a.sub.d0.example",
  "h3.example",
  "h4.example",
  "void1.example",
  "void2.example",
];
const CLIENTS = [
  { ip: "192.0.2.7", family: "A", reverse: "7.2.0.192.in-addr.arpa" },
  { ip: "198.51.100.200", family: "A", reverse: "200.100.51.198.in-addr.arpa" },
  { ip: "::ffff:192.0.2.7", family: "A", reverse: "7.2.0.192.in-addr.arpa" },
  {
    ip: "2001:db8:1:2::a7",
    family: "AAAA",
    reverse: "7.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  },
] as const;
const LOCALS = ["alice", "Bob.Smith", "list-owner+x", "a=b", "postmaster"];

/** Makes one from a seed; the same for each seed. */
export function spfCase(seed: number): SpfCase {
  return new CaseMaker(seed).make();
}

class CaseMaker {
  readonly #random: () => number;
  #client: typeof CLIENTS[number] = CLIENTS[0];
  /** Names that `exists` was made for. */
  readonly #extra: Record<string, SpfZoneRecord[]> = {};

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  make(): SpfCase {
    this.#client = this.#pick(CLIENTS);
    const zone: Record<string, SpfZoneRecord[]> = {};
    for (const domain of DOMAINS) zone[domain] = this.#domain(domain);
    for (const host of HOSTS) if (!host.startsWith("void")) zone[host] = this.#host();
    zone["here.example"] = [{ A: "127.0.0.2" }, { AAAA: "::1" }];
    zone["alias.example"] = [{ CNAME: this.#pick([...HOSTS, ...DOMAINS]) }];
    zone["why.example"] = this.#texts([
      "Not from %{c}.",
      "%{s} %{L} %{d2} %{p} %{r} %{ir}.%{v}",
      "%{x}",
      "100%% %{h}%_%-",
    ]);
    zone[this.#client.reverse] = this.#reverse();
    const isNull = this.#chance(0.15);
    return {
      ip: this.#client.ip,
      helo: this.#pick([...HOSTS, ...DOMAINS, "localhost", "[192.0.2.7]"]),
      reversePath: isNull ? "" : `${this.#pick(LOCALS)}@${this.#pick(DOMAINS)}`,
      zone: { ...zone, ...this.#extra },
    };
  }

  #domain(domain: string): SpfZoneRecord[] {
    if (this.#chance(0.03)) return ["TIMEOUT"];
    const records = this.#host();
    const exchanges = this.#int(4);
    for (let preference = 10; preference <= exchanges * 10; preference += 10) {
      records.push({ MX: [preference, this.#pick(HOSTS)] });
    }
    if (this.#chance(0.02)) {
      for (let index = 0; index < 11; index++) records.push({ MX: [100 + index, `mx${index}.example`] });
    }
    if (this.#chance(0.9)) records.push({ TXT: this.#record(domain) });
    if (this.#chance(0.02)) records.push({ TXT: "v=spf1 -all" });
    if (this.#chance(0.3)) records.unshift({ TXT: "other=text" });
    return records;
  }

  #host(): SpfZoneRecord[] {
    if (this.#chance(0.02)) return ["TIMEOUT"];
    const records: SpfZoneRecord[] = [];
    if (this.#chance(0.25)) records.push({ [this.#client.family]: this.#client.ip.replace("::ffff:", "") });
    if (this.#chance(0.7)) records.push({ A: this.#pick(["192.0.2.200", "203.0.113.9", "198.51.100.1"]) });
    if (this.#chance(0.5)) records.push({ AAAA: this.#pick(["2001:db8:1:2::1", "2001:db8:9::1"]) });
    return records;
  }

  #reverse(): SpfZoneRecord[] {
    if (this.#chance(0.05)) return ["TIMEOUT"];
    const names: string[] = Array.from({ length: this.#int(4) }, () => this.#pick([...HOSTS, ...DOMAINS]));
    if (this.#chance(0.3)) {
      names.unshift(...Array.from({ length: 7 + this.#int(5) }, (_, index) => `n${index}.example`));
    }
    return [...new Set(names)].map((PTR) => ({ PTR }));
  }

  #texts(texts: readonly string[]): SpfZoneRecord[] {
    if (this.#chance(0.1)) return ["TIMEOUT"];
    return Array.from({ length: this.#chance(0.1) ? 2 : 1 }, () => ({ TXT: this.#pick(texts) }));
  }

  #record(domain: string): string {
    const terms = Array.from({ length: this.#int(6) }, () => this.#directive(domain));
    if (this.#chance(0.1)) {
      for (let count = 7 + this.#int(4); count > 0; count--) {
        terms.unshift("a:here.example");
      }
    }
    if (this.#chance(0.5)) terms.push(`${this.#pick(["-", "-", "~", "?", "+", ""])}all`);
    else if (!this.#chance(0.5)) this.#insert(terms, `redirect=${this.#target()}`);
    if (this.#chance(0.4)) {
      this.#insert(terms, `exp=${this.#pick(["why.example", "why.%{d1}", "none.example", "%{p}"])}`);
    }
    if (this.#chance(0.1)) {
      this.#insert(terms, this.#pick(["x=%{d}", "ra=100", "x=1", "EXP=why.example", "x=", "default=pass"]));
    }
    if (this.#chance(0.06)) this.#insert(terms, this.#pick(WRONG_TERMS));
    return `${this.#pick(["v=spf1", "V=SPF1"])} ${terms.join(this.#pick([" ", "  "]))}`;
  }

  #directive(domain: string): string {
    const qualifier = this.#pick(["", "", "", "+", "-", "~", "?"]);
    const name = this.#pick(["include", "a", "a", "mx", "mx", "ptr", "ip4", "ip6", "exists", "exists"]);
    const chosen = this.#chance(0.05) ? name.toUpperCase() : name;
    switch (name) {
      case "include":
        return `${qualifier}${chosen}:${this.#target()}`;
      case "exists":
        return `${qualifier}${chosen}:${this.#existing(domain)}`;
      case "ptr":
        return `${qualifier}${chosen}${this.#chance(0.5) ? "" : `:${this.#target()}`}`;
      case "ip4":
        return `${qualifier}${chosen}:${
          this.#pick(["192.0.2.7", "192.0.2.0/24", "203.0.113.0/25", "198.51.100.128/26", "10.0.0.0/8", "0.0.0.0/0"])
        }`;
      case "ip6":
        return `${qualifier}${chosen}:${
          this.#pick(["2001:db8:1::/48", "2001:DB8:1:2::a7", "::ffff:192.0.2.7", "2001:db8:2::/47", "fe80::1.2.3.4/10"])
        }`;
      default: {
        const target = this.#chance(0.4) ? "" : `:${this.#target()}`;
        return `${qualifier}${chosen}${target}${
          this.#pick(["", "", "", "/24", "//48", "/25//64", "/0", "//0", "/32//128"])
        }`;
      }
    }
  }

  #target(): string {
    const { d, h } = { d: this.#pick(DOMAINS), h: this.#pick(HOSTS) };
    return this.#pick([
      d,
      d,
      h,
      h,
      "alias.example",
      `${d}.`,
      "sub.%{d}",
      "%{d}",
      "%{o}",
      "%{h}",
      "%{p}",
      "d%{l1r}x.example",
      "d1.%{d1}",
    ]);
  }

  /** A name with macros, which mostly exists. */
  #existing(domain: string): string {
    const { ip } = this.#client;
    const plain = ip.replace("::ffff:", "");
    const isIp4 = this.#client.family === "A";
    const dashed = domain.replaceAll(".", "-");
    const [spec, name] = this.#pick(
      [
        [
          "%{i}.ok.example",
          isIp4 ? `${plain}.ok.example` : "2.0.0.1.0.d.b.8.0.0.0.1.0.0.0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.7.ok.example",
        ],
        ["%{ir}.%{v}.ok.example", isIp4 ? `${plain.split(".").reverse().join(".")}.in-addr.ok.example` : ""],
        ["%{d}.ok.example", `${domain}.ok.example`],
        ["%{d1r}.ok.example", `${domain.split(".")[0]}.ok.example`],
        ["%{d-}x.%{d2}.ok.example", `${dashed}x.${domain}.ok.example`],
        ["%{l}.ok.example", "alice.ok.example"],
        ["%{lr-}.ok.example", "owner+x.list.ok.example"],
        ["%{l1r.-+}.ok.example", "bob.ok.example"],
        ["%{S}.ok.example", "alice%40d0.example.ok.example"],
        ["%{o2}.ok.example", "d0.example.ok.example"],
        ["%{p}.ok.example", "unknown.ok.example"],
        ["%{p2r}.ok.example", "mail.d0.ok.example"],
        ["%%x%_y%-.ok.example", "%x y%20.ok.example"],
        [
          "%{h1r}.%{d}.%{d}.%{d}.%{s}.%{d}.%{d}.%{o}.%{d}.%{d}.%{d}.%{s}.%{d}.%{d}.%{o}.%{d}.%{d}.%{d}.%{s}.%{d}.%{d}.%{o}.ok.example",
          "",
        ],
      ] as const,
    );
    if (name !== "" && this.#chance(0.8)) this.#extra[name] = [{ A: "127.0.0.2" }];
    return spec;
  }

  #insert(terms: string[], term: string): void {
    terms.splice(this.#int(terms.length + 1), 0, term);
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(choices: readonly T[]): T {
    const choice = choices[this.#int(choices.length)];
    if (choice === undefined) throw new RangeError("Cannot pick from nothing");
    return choice;
  }
}

const WRONG_TERMS = [
  "moo",
  "all.",
  "all:x",
  "a:",
  "a:museum",
  "a:192.0.2.7",
  "mx/33",
  "a//129",
  "ip4:192.0.2",
  "ip4:192.0.2.7/032",
  "ip6:::zz",
  "ip6:2001:db8::/129",
  "include",
  "exists",
  "exists:%{c}.example",
  "exists:%x.example",
  "a:%{q}.example",
  "redirect=",
  "exp=",
  "redirect=d0.example redirect=d1.example",
  "exp=why.example exp=why.example",
  "ptr/24",
  "a:caf\xe9.example",
  "=x",
  "1x=y",
  "x=%{",
];
