/** SRV records, by which mail programs find us (RFC 6186, RFC 8314 §5.1). */

import type { PublishedRecord } from "../record.ts";
import { advice, ask, type CheckContext, type Finding, good, publish, replace, unknown, wrong } from "./finding.ts";

/** Compares one record. */
export async function checkService(context: CheckContext, record: PublishedRecord): Promise<Finding> {
  const answer = await ask(context, record.name, "SRV");
  if (answer.kind === "failed") return unknown(record, answer.reason);
  if (answer.kind !== "found") {
    return advice(record, "Mail programs cannot find this service by themselves", publish(record));
  }
  const [, , port, target] = record.value.split(" ");
  const found = answer.records.map((one) => `${one.target === "" ? "nowhere" : one.target} port ${one.port}`).join(
    ", ",
  );
  const isOurs = answer.records.some((one) => String(one.port) === port && `${one.target}.` === target);
  return isOurs
    ? good(record, found)
    : wrong(record, `The record leads to ${found}, and not to this server`, replace(record));
}
