/** A connection as the SMTP code sees it, with or without TLS. */

/** A stream of octets in both directions. `Deno.Conn` is one. */
export interface OctetConn {
  /** Reads what is there, at most `into.length` octets; null after the last one. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes octets and returns how many were taken, at least one. */
  write(octets: Uint8Array): Promise<number>;
  /** Tells the peer that nothing more comes, and goes on reading. Absent where the connection cannot do that. */
  closeWrite?(): Promise<void>;
  /** Ends the connection; a read or write under way ends. */
  close(): void;
  /** The address of the peer. */
  readonly remoteAddr: Deno.Addr;
  /** Our address. */
  readonly localAddr: Deno.Addr;
}
