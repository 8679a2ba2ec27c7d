/** The records of a domain as part of a zone file (RFC 1035 §5.1), with what to know about them as remarks. */

import { isSplit, type PublishedRecord, type RecordSection, zoneLine } from "./record.ts";

/** Columns of a remark. */
const WIDTH = 110;

/**
 * Formats the sections. Every line is a record or a remark, so that all of it can be put into a zone file as it is; what is
 * optional, or set by somebody else, is a remark.
 */
export function zoneText(domain: string, sections: readonly RecordSection[]): string {
  const head = remark(
    `Records of ${domain}, for its zone file. Lines that begin with a semicolon are remarks; remove "; " in front of a ` +
      "record to publish it.",
  );
  const parts = sections.map(({ title, records, remarks }) => [
    `; --- ${title}`,
    ...remarks.flatMap(remark),
    ...records.flatMap((record, i) => recordLines(record, record.purpose === records[i - 1]?.purpose)),
  ]);
  return [head, ...parts].map((lines) => lines.join("\n")).join("\n\n");
}

/** @param isLikeBefore The record above has the same purpose, which is told once. */
function recordLines(record: PublishedRecord, isLikeBefore: boolean): readonly string[] {
  const line = zoneLine(record);
  const isRemark = record.importance === "optional" || record.isElsewhere === true;
  return [
    ...(isLikeBefore ? [] : remark(`${record.importance}: ${record.purpose}`)),
    isRemark ? `; ${line}` : line,
    ...(isSplit(record) ? [`; In one piece, for web panels: ${record.value}`] : []),
  ];
}

function remark(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length > WIDTH) lines.push(`; ${word}`);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}
