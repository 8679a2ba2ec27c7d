/** Log records as lines: text for people, JSON for programs. */

import { escapeControls, jsonValue, showValue } from "./fields.ts";

/** What a line is made of; LogTape's records are such. */
export interface LogRecord {
  /** From the general to the special: `posthorn`, then the part of the program. */
  readonly category: readonly string[];
  /** `debug`, `info`, `warning` or `error`; LogTape has two more. */
  readonly level: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** The template, its fields as `{name}`; cut at its values where it was a template literal. */
  readonly rawMessage: string | readonly string[];
  /** The values of fields by name, those that the message does not show included. */
  readonly properties: Record<string, unknown>;
}

/** Makes a line, without its end, from a record. */
export type LineFormatter = (record: LogRecord) => string;

/** A message template cut at its fields: `texts[0] {names[0]} texts[1] …`. */
interface Template {
  readonly texts: readonly string[];
  readonly names: readonly string[];
}

/**
 * Makes a formatter of text lines:
 *
 *     2026-11-23T15:22:29.123Z info queue: Delivered 4f2a to <tim@example.org> delay="1.2 s"
 *
 * UTC time (RFC 3339), level, category without `posthorn`, message with its fields; fields that the message does not
 * name stand behind it.
 */
export function textFormatter(): LineFormatter {
  const templateOf = templateCache();
  return (record) => {
    const template = templateOf(record);
    const head = `${new Date(record.timestamp).toISOString()} ${record.level} ${categoryOf(record) || "main"}: `;
    return head + showMessage(record, template) + otherFields(record.properties, template.names);
  };
}

/** Makes a formatter of JSON lines: `time`, `level`, `category`, `message` (as in the text), `fields`. */
export function jsonFormatter(): LineFormatter {
  const templateOf = templateCache();
  return (record) => {
    const fields: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(record.properties)) fields[name] = jsonValue(name, value);
    return JSON.stringify({
      time: new Date(record.timestamp).toISOString(),
      level: record.level,
      category: categoryOf(record) || "main",
      message: showMessage(record, templateOf(record)),
      fields,
    });
  };
}

function categoryOf({ category }: LogRecord): string {
  return (category[0] === "posthorn" ? category.slice(1) : category).join(".");
}

function showMessage(record: LogRecord, { texts, names }: Template): string {
  let message = texts[0] ?? "";
  for (let i = 0; i < names.length; i++) {
    const name = names[i] ?? "";
    message += showValue(name, record.properties[name]) + (texts[i + 1] ?? "");
  }
  return message;
}

function otherFields(properties: Record<string, unknown>, shown: readonly string[]): string {
  let text = "";
  for (const name of Object.keys(properties)) {
    if (shown.includes(name)) continue;
    const value = showValue(name, properties[name]);
    text += ` ${escapeControls(name)}=${/^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`;
  }
  return text;
}

/** Templates are constants of the program, so that each is cut once; the bound is for those that are not. */
function templateCache(): (record: LogRecord) => Template {
  const templates = new Map<string, Template>();
  return ({ rawMessage }) => {
    const raw = typeof rawMessage === "string" ? rawMessage : rawMessage.join("…");
    let template = templates.get(raw);
    if (template === undefined) {
      template = cutTemplate(raw);
      if (templates.size >= 1000) templates.clear();
      templates.set(raw, template);
    }
    return template;
  };
}

/** Cuts at `{name}`; `{{` and `}}` stand for the braces themselves, as in LogTape. */
function cutTemplate(raw: string): Template {
  const texts: string[] = [];
  const names: string[] = [];
  let text = "";
  for (const part of raw.split(/(\{\{|\}\}|\{[^{}]+\})/)) {
    if (part === "{{" || part === "}}") text += part[0];
    else if (/^\{[^{}]+\}$/.test(part)) {
      texts.push(escapeControls(text));
      names.push(part.slice(1, -1).trim());
      text = "";
    } else text += part;
  }
  texts.push(escapeControls(text));
  return { texts, names };
}
