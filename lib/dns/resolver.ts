/** What the rest of posthorn asks of DNS. The four outcomes stay apart, because mail treats them differently. */

/** Record types that can be asked for, each with the data of its records. */
export interface RecordData {
  /** Dotted quad. */
  A: string;
  /** IPv6 text. */
  AAAA: string;
  /** RFC 1035 §3.3.9; lower preference is tried first. */
  MX: { readonly preference: number; /** Without final dot; empty for the null MX "." */ readonly exchange: string };
  /** One string a record: its character-strings joined (octets as Latin-1). */
  TXT: string;
  /** The name that it stands for, without final dot: the first link of a chain, which is not followed then. */
  CNAME: string;
  /** Host name without final dot. */
  PTR: string;
  /** RFC 6698 §2.1; the data as octets. */
  TLSA: { readonly usage: number; readonly selector: number; readonly matchingType: number; readonly data: Uint8Array };
  /** RFC 2782; lower priority is tried first. */
  SRV: {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    /** Without final dot; empty: there is no such service. */
    readonly target: string;
  };
}

/** A record type that can be asked for. */
export type RecordType = keyof RecordData;

/** The result of a lookup; never an exception. */
export type DnsAnswer<T> =
  | {
    readonly kind: "found";
    /** At least one. */
    readonly records: readonly T[];
    /** The owner name of the records: the end of the CNAME chain, lower case, without final dot. */
    readonly canonicalName: string;
    /** The resolver's AD bit: validated with DNSSEC (RFC 4035 §3.2.3). */
    readonly isSecure: boolean;
    readonly ttlSeconds: number;
  }
  /** The name exists but has no record of the type (NODATA, RFC 2308 §2.2). */
  | { readonly kind: "noData"; readonly canonicalName: string; readonly isSecure: boolean; readonly ttlSeconds: number }
  /** The name does not exist (NXDOMAIN). */
  | { readonly kind: "noName"; readonly isSecure: boolean; readonly ttlSeconds: number }
  /** No answer that can be relied on: time limit, SERVFAIL, REFUSED, malformed, a CNAME loop. Try again later. */
  | { readonly kind: "failed"; /** For the log: what failed at which server. */ readonly reason: string };

/** Answers DNS questions. */
export interface Resolver {
  /**
   * Looks up one record set, following CNAMEs.
   *
   * @param name Host name in A-label form, with or without final dot.
   */
  lookup<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<RecordData[T]>>;
}
