/**
 * The big mail providers and the names of their MX hosts, as their customers publish them. Domains at one provider are one
 * destination, whatever each of them names as its MX: the provider counts what comes from us, and so do we.
 */

/** One provider. */
export interface MailProvider {
  /** Stands in log lines and in `queue list`; no host name. */
  readonly name: string;
  /** Domains that its MX hosts are in, or are themselves; lower case. */
  readonly mxDomains: readonly string[];
}

/** In the order of the alphabet, one entry for each of those who count on their own. */
export const MAIL_PROVIDERS: readonly MailProvider[] = [
  { name: "163", mxDomains: ["163.com", "126.com", "netease.com"] },
  { name: "aliyun", mxDomains: ["aliyun.com", "mxhichina.com"] },
  { name: "amazon", mxDomains: ["amazonaws.com", "awsapps.com"] },
  { name: "aruba", mxDomains: ["aruba.it"] },
  { name: "att", mxDomains: ["prodigy.net"] },
  { name: "barracuda", mxDomains: ["barracudanetworks.com"] },
  { name: "bigpond", mxDomains: ["bigpond.com"] },
  { name: "charter", mxDomains: ["charter.net"] },
  { name: "cisco", mxDomains: ["iphmx.com"] },
  { name: "cloudflare", mxDomains: ["mx.cloudflare.net"] },
  { name: "comcast", mxDomains: ["comcast.net"] },
  { name: "cox", mxDomains: ["cox.net"] },
  { name: "daum", mxDomains: ["daum.net", "hanmail.net", "kakao.com"] },
  { name: "fastmail", mxDomains: ["messagingengine.com"] },
  { name: "free", mxDomains: ["free.fr"] },
  { name: "gandi", mxDomains: ["gandi.net"] },
  { name: "gmx", mxDomains: ["gmx.net", "web.de", "mail.com"] },
  { name: "godaddy", mxDomains: ["secureserver.net"] },
  { name: "google", mxDomains: ["google.com", "googlemail.com"] },
  { name: "hornetsecurity", mxDomains: ["hornetsecurity.com", "antispameurope.com"] },
  { name: "hostinger", mxDomains: ["hostinger.com", "titan.email"] },
  { name: "icloud", mxDomains: ["mail.icloud.com"] },
  { name: "infomaniak", mxDomains: ["infomaniak.ch"] },
  {
    name: "ionos",
    mxDomains: [
      "kundenserver.de",
      "perfora.net",
      "1and1.com",
      "1and1.co.uk",
      "1and1.fr",
      "1and1.es",
      "1and1.it",
      "ionos.com",
      "ionos.de",
      "ionos.co.uk",
      "ionos.fr",
      "ionos.es",
      "ionos.it",
    ],
  },
  { name: "laposte", mxDomains: ["laposte.net"] },
  { name: "libero", mxDomains: ["libero.it"] },
  { name: "mailbox-org", mxDomains: ["mailbox.org"] },
  { name: "mailru", mxDomains: ["mail.ru"] },
  { name: "messagelabs", mxDomains: ["messagelabs.com"] },
  {
    name: "microsoft",
    mxDomains: ["protection.outlook.com", "mail.eo.outlook.com", "mx.microsoft", "protection.office365.us"],
  },
  { name: "microsoft-cn", mxDomains: ["protection.partner.outlook.cn"] },
  { name: "migadu", mxDomains: ["migadu.com"] },
  { name: "mimecast", mxDomains: ["mimecast.com", "mimecast.co.za", "mimecast-offshore.com"] },
  { name: "namecheap", mxDomains: ["registrar-servers.com", "privateemail.com", "jellyfish.systems"] },
  { name: "naver", mxDomains: ["naver.com"] },
  { name: "onet", mxDomains: ["onet.pl"] },
  { name: "orange", mxDomains: ["orange.fr"] },
  // Hotmail, Live, MSN and outlook.com: another service than that of companies, with limits of its own.
  { name: "outlook", mxDomains: ["olc.protection.outlook.com"] },
  { name: "ovh", mxDomains: ["ovh.net", "ovh.ca"] },
  { name: "posteo", mxDomains: ["posteo.de"] },
  { name: "proofpoint", mxDomains: ["pphosted.com", "gpphosted.com"] },
  { name: "proofpoint-essentials", mxDomains: ["ppe-hosted.com"] },
  { name: "protonmail", mxDomains: ["protonmail.ch"] },
  { name: "qq", mxDomains: ["qq.com"] },
  { name: "rackspace", mxDomains: ["emailsrvr.com"] },
  { name: "rambler", mxDomains: ["rambler.ru"] },
  { name: "seznam", mxDomains: ["seznam.cz"] },
  { name: "sfr", mxDomains: ["sfr.fr"] },
  { name: "sophos", mxDomains: ["hydra.sophos.com"] },
  { name: "strato", mxDomains: ["rzone.de"] },
  { name: "t-online", mxDomains: ["t-online.de"] },
  { name: "trendmicro", mxDomains: ["hes.trendmicro.com", "hes.trendmicro.eu"] },
  { name: "tuta", mxDomains: ["tutanota.de"] },
  { name: "wp", mxDomains: ["wp.pl"] },
  { name: "yahoo", mxDomains: ["yahoodns.net", "yahoo.com", "aol.com"] },
  { name: "yandex", mxDomains: ["yandex.ru", "yandex.net"] },
  {
    name: "zoho",
    mxDomains: ["zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.com.cn", "zoho.jp", "zohocloud.ca"],
  },
];

const BY_MX_DOMAIN: ReadonlyMap<string, string> = new Map(
  MAIL_PROVIDERS.flatMap(({ name, mxDomains }) => mxDomains.map((domain) => [domain, name])),
);

/**
 * Finds the provider of an MX host.
 *
 * @param host Lower case, without final dot.
 * @returns Its name, by the longest domain of the table that the host is or is in; undefined: none of them.
 */
export function providerOf(host: string): string | undefined {
  for (let from = 0;;) {
    const name = BY_MX_DOMAIN.get(host.slice(from));
    const dot = host.indexOf(".", from);
    if (name !== undefined || dot < 0) return name;
    from = dot + 1;
  }
}
