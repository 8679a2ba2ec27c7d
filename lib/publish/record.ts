/** A DNS record that a domain of ours should have, and how it stands in a zone file (RFC 1035 §5.1). */

/** The types that are published. */
export type PublishedType = "A" | "AAAA" | "CNAME" | "MX" | "PTR" | "SRV" | "TLSA" | "TXT";

/** One record to publish. */
export interface PublishedRecord {
  /** The owner, A-labels, without final dot. */
  readonly name: string;
  /** Its type. */
  readonly type: PublishedType;
  /** Its data as in a zone file, names with their final dot; of TXT the text itself, in one piece and without quotes. */
  readonly value: string;
  /** What it is for, in a few words. */
  readonly purpose: string;
  /**
   * `required`: without it mail is lost or refused. `recommended`: big receivers expect it. `optional`: may do harm where
   * it is not looked after, so it is printed as a remark.
   */
  readonly importance: "required" | "recommended" | "optional";
  /** Not in the zones of its owner: who gave us the address publishes it. */
  readonly isElsewhere?: true;
}

/** Records that belong together, with what to know about them. */
export interface RecordSection {
  /** A sentence. */
  readonly title: string;
  /** In the order to publish them. */
  readonly records: readonly PublishedRecord[];
  /** Sentences for people. */
  readonly remarks: readonly string[];
}

/** What the lines say: an hour, so that a mistake is mended within an hour. */
export const TTL_SECONDS = 3600;
/** A character-string holds at most 255 octets (RFC 1035 §3.3.14). */
const MAX_STRING_OCTETS = 255;

/** Cuts a text into the strings of a TXT record; readers join them without anything in between (RFC 7208 §3.3). */
export function textStrings(text: string): readonly string[] {
  return text.match(/[^]{1,255}/g) ?? [""];
}

/** True for a text that needs several strings, which some web panels make themselves. */
export function isSplit({ type, value }: PublishedRecord): boolean {
  return type === "TXT" && value.length > MAX_STRING_OCTETS;
}

/** One line of a zone file, the name in full. */
export function zoneLine({ name, type, value }: PublishedRecord): string {
  return `${name}. ${TTL_SECONDS} IN ${type} ${type === "TXT" ? textStrings(value).map(quoted).join(" ") : value}`;
}

/** All records of some sections. */
export function recordsOf(sections: readonly RecordSection[]): readonly PublishedRecord[] {
  return sections.flatMap(({ records }) => records);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
