/** Figures: what the values of several runs come to, and how they are printed. */

/** The middle value; NaN where there is none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value that this part of the values does not exceed. @param part From 0 to 1. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? NaN;
}

/** Three digits at least: 1234, 12.3, 1.23. */
export function figure(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** Least and most, as figures. */
export function spread(values: readonly number[]): string {
  return `${figure(Math.min(...values))}–${figure(Math.max(...values))}`;
}

/** A row of a table in Markdown. */
export function tableRow(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** The head of a table in Markdown, after an empty line. */
export function tableHead(titles: readonly string[]): string {
  return `\n${tableRow(titles)}\n|${"---|".repeat(titles.length)}`;
}

/** Writes a line. */
export async function print(
  text: string,
  output: { write(octets: Uint8Array): Promise<number> } = Deno.stdout,
): Promise<void> {
  await output.write(new TextEncoder().encode(`${text}\n`));
}
