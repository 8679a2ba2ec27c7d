/** ARC by others: dkimpy in Python and Mail::DKIM in Perl, each seals or validates many messages in one run. */

import { latin1Octets } from "./maildir.ts";
import { mustRun } from "./command.ts";
import type { Need, Program } from "./peers.ts";
import { programPath } from "./peers.ts";

/** One message to seal or to validate. */
export type ArcJob =
  | {
    readonly op: "seal";
    /** Octets as Latin-1, lines end with CRLF. */
    readonly message: string;
    /** What the chain is found to be. */
    readonly status: "none" | "pass" | "fail";
    readonly domain: string;
    readonly selector: string;
    /** An RSA key, PKCS#1 in PEM. */
    readonly key: string;
    /** authserv-id of the results, which name the status and a DMARC pass of this domain. */
    readonly server: string;
    readonly author: string;
  }
  | { readonly op: "validate"; readonly message: string };

/** An implementation. */
export interface ArcPeer {
  readonly name: string;
  readonly needs: readonly Need[];
  /**
   * Does all jobs.
   *
   * @param records TXT records by name.
   * @returns For `seal` the set to put in front (Latin-1, CRLF); for `validate` `none`, `pass` or `fail`, then what it says of it.
   */
  run(records: Readonly<Record<string, string>>, jobs: readonly ArcJob[]): Promise<readonly string[]>;
}

const PYTHON = `
import base64, json, sys, dkim
given = json.load(sys.stdin)
records = given["records"]
def txt(name, timeout=5):
    found = records.get(name.decode().rstrip(".").lower())
    return None if found is None else found.encode()
def do(job):
    message = job["message"].encode("latin-1")
    if job["op"] == "validate":
        try:
            status, _, reason = dkim.arc_verify(message, dnsfunc=txt)
        except Exception as error:
            return "fail " + str(error)
        return "%s %s" % ("fail" if status is None else status.decode(), reason)
    server = job["server"].encode()
    arc = "" if job["status"] == "none" else " arc=%s;" % job["status"]
    results = "Authentication-Results: %s;%s dmarc=pass header.from=%s\\r\\n" % (job["server"], arc, job["author"])
    sealed = dkim.arc_sign(results.encode() + message, job["selector"].encode(), job["domain"].encode(),
        job["key"].encode(), server)
    return b"".join(sealed).decode("latin-1")
json.dump([do(job) for job in given["jobs"]], sys.stdout)
`;

const PERL = `
use strict; use warnings;
use JSON::PP; use Net::DNS; use Mail::DKIM::DNS; use Mail::DKIM::ARC::Signer; use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::PrivateKey; use Mail::DKIM::TextWrap;
binmode STDIN; binmode STDOUT;
my $given = decode_json(do { local $/; <STDIN> });
package Zone { sub new { bless {}, shift } sub send {
  my ($self, $name, $type) = @_;
  my $found = $given->{records}{lc $name =~ s/\\.$//r};
  my $packet = Net::DNS::Packet->new($name, $type);
  if (defined $found) {
    $packet->push(answer => Net::DNS::RR->new(name => $name, type => "TXT", ttl => 60, txtdata => [unpack("(a255)*", $found)]));
  } else { $packet->header->rcode("NXDOMAIN"); }
  return $packet;
} }
Mail::DKIM::DNS::resolver(Zone->new);
sub feed { my ($one, $text) = @_; $one->PRINT($text); $one->CLOSE; return $one }
sub job {
  my ($job) = @_;
  my $message = $job->{message}; utf8::downgrade($message);
  if ($job->{op} eq "validate") {
    my $one = eval { feed(Mail::DKIM::ARC::Verifier->new(Strict => 1), $message) } or return "fail $@";
    my $result = $one->result;
    return ($result =~ /^(none|pass)$/ ? $result : "fail") . " " . ($one->result_detail // "");
  }
  my $key = $job->{key} =~ s/-----[^-]+-----|\\s//gr;
  my $arc = $job->{status} eq "none" ? "" : " arc=$job->{status};";
  my $one = Mail::DKIM::ARC::Signer->new(Algorithm => "rsa-sha256", Chain => $job->{status}, Domain => $job->{domain},
    SrvId => $job->{server}, Selector => $job->{selector}, Key => Mail::DKIM::PrivateKey->load(Data => $key));
  feed($one, "Authentication-Results: $job->{server};$arc dmarc=pass header.from=$job->{author}\\r\\n$message");
  die $one->result_detail unless $one->result eq "sealed";
  return $one->as_string;
}
print JSON::PP->new->ascii->encode([map { job($_) } @{$given->{jobs}}]);
`;

/** All of them. */
export const ARC_PEERS: readonly ArcPeer[] = [
  peer("dkimpy", "python", ["python3-dkim", "python3-authres"], PYTHON, "-c"),
  peer("Mail::DKIM", "perl", ["Mail::DKIM"], PERL, "-e"),
];

function peer(name: string, program: Program, needs: readonly Need[], script: string, option: string): ArcPeer {
  return {
    name,
    needs: [program, ...needs],
    async run(records, jobs): Promise<readonly string[]> {
      const stdin = JSON.stringify({ records, jobs }).replace(
        /[\x80-\xff]/g,
        (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
      );
      const output = await mustRun([programPath(program), option, script], { stdin: latin1Octets(stdin) });
      const results: unknown = JSON.parse(output);
      if (!Array.isArray(results) || !results.every((each) => typeof each === "string")) throw new TypeError(output);
      return results;
    },
  };
}
