/** What a client of the web listeners asks for. */

import { HttpError, type HttpHead } from "./http_head.ts";

/** A request that is well formed. */
export interface WebRequest {
  /** Other methods are refused (RFC 9110 §9.1). */
  readonly method: "GET" | "HEAD";
  /** The name of the host asked for, in lower case, without a port; empty in HTTP/1.0 without Host. */
  readonly host: string;
  /** The path with its query, as it came. */
  readonly path: string;
}

/**
 * Understands the head of a request.
 *
 * ```abnf
 * request-line = method SP request-target SP HTTP-version
 * request-target = origin-form / absolute-form     ; other forms are not for GET and HEAD
 * ```
 *
 * @throws {HttpError} 400 for what is malformed, 405 for other methods, 505 for other versions.
 * @see RFC 9112 §3, §3.2.2 (the host of an absolute form counts), RFC 9110 §7.2 (there is one Host)
 */
export function parseRequest({ startLine, fields }: HttpHead): WebRequest {
  const [, method = "", target = "", major = "", minor = ""] =
    /^([A-Za-z-]{1,20}) ([\x21-\x7e]+) HTTP\/(\d)\.(\d)$/.exec(startLine) ?? [];
  if (method === "") throw new HttpError(400, "The first line is no request");
  if (major !== "1") throw new HttpError(505, "This server speaks HTTP/1.1");
  if (method !== "GET" && method !== "HEAD") throw new HttpError(405, "There is nothing here but files to read");
  const hosts = fields.filter(([name]) => name === "host").map(([, value]) => value);
  if (hosts.length > 1 || (hosts.length === 0 && minor !== "0")) {
    throw new HttpError(400, "The request needs one Host field");
  }
  const [, absoluteHost, absolutePath = ""] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target) ?? [];
  const path = absoluteHost === undefined ? target : absolutePath.startsWith("/") ? absolutePath : `/${absolutePath}`;
  if (!path.startsWith("/")) throw new HttpError(400, "The first line has no path");
  return { method, host: hostName(absoluteHost ?? hosts[0] ?? ""), path };
}

/** Host = uri-host [ ":" port ]. An address in brackets is no host of ours, so it need not be understood. */
function hostName(text: string): string {
  const [, name] = /^([\w.-]{0,253}|\[[\da-f:.]{2,45}\])(?::\d{0,5})?$/i.exec(text) ?? [];
  if (name === undefined) throw new HttpError(400, "The host is no name");
  return name.toLowerCase();
}
