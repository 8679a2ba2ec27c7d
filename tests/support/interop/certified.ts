/** posthorn with a certificate that clients of the test trust. */

import { type PosthornOptions, PosthornProcess } from "../posthorn_process.ts";
import { TestAuthority } from "./certificates.ts";

/** The running program, and what its clients have to trust. */
export interface CertifiedPosthorn {
  readonly posthorn: PosthornProcess;
  /** The CA of its certificate, which is for mail.example.org, localhost and 127.0.0.1. */
  readonly caFile: string;
}

/** Starts posthorn with a certificate of a new CA. @param folder For the CA; exists. */
export async function startCertified(folder: string, options: PosthornOptions): Promise<CertifiedPosthorn> {
  const authority = await TestAuthority.create(folder);
  const names = ["DNS:mail.example.org", "DNS:localhost", "IP:127.0.0.1"];
  const certificate = await authority.issue("mail.example.org", names);
  const posthorn = await PosthornProcess.start({
    ...options,
    config: { ...options.config, tls: { certificates: [certificate] } },
  });
  return { posthorn, caFile: authority.file };
}
