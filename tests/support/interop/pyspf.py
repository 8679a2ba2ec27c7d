# Checks SPF with pyspf (Debian: python3-spf) on DNS data from standard input: one JSON object, {"cases": [...]}. Writes
# a JSON list with two results for each case: [as it is, with the changes below].
#
# The second copy of pyspf follows RFC 7208 where the first one does not; each change says why. A text that is to be
# changed must be there, so that another version of pyspf does not go unnoticed.
import json, sys, types
import spf as original

CHANGES = [
    # 4.6.4: redirect counts as a term when it is followed; pyspf counts it although a mechanism matches before.
    ("self.check_lookups()\n                redirect = ", "redirect = "),
    ("            if redirect:\n", "            if redirect:\n                self.check_lookups()\n"),
    # 6: only redirect and exp must not appear twice; their names have no case.
    ("if mod in modifiers:", "mod = mod.lower()\n            if mod in modifiers and mod in ('exp', 'redirect'):"),
    # 5.2: an include of itself costs terms; it is no syntax error.
    ("if arg == self.d:", "if False:"),
    # 7.3: labels are removed until the name has at most 253 characters, not only one.
    ("                result = result[(result.index('.')+1):]",
     "                while len(result) > 253 and '.' in result: result = result[(result.index('.')+1):]"),
    # 7.3: that is about names, not about explanations.
    ("        if result.count('.') != 0:", "        if stripdot and result.count('.') != 0:"),
    # 7.3: parts are joined by "." for all letters, not only l and s.
    ("JOINERS.get(letter)", "'.'"),
    # 4.6.4: one lookup that ends at an alias of nothing is one void lookup, not one for each link.
    ("self.dns(cname, qtype, cnames=cnames)", "self.dns(cname, qtype, cnames=cnames, ignore_void=True)"),
    # 7.3: %{p} depends on the domain of the record at hand.
    ("        if not self.p:\n            p = self.validated_ptrs()", "        if True:\n            p = self.validated_ptrs()"),
    # 7.1: a macro that is not closed is an error.
    ("(?<!%)%[^{%_-]|%$", "(?<!%)%[^{%_-]|%$|%\\{[^}]*$"),
    # 7.2: the time is an argument here.
    ("self.t = str(int(time.time()))", "self.t = '1767225600'"),
]


def changed_copy():
    with open(original.__file__) as file:
        source = file.read()
    for old, new in CHANGES:
        if source.count(old) != 1:
            sys.exit("pyspf has no single %r" % old)
        source = source.replace(old, new)
    module = types.ModuleType("changed_spf")
    exec(compile(source, "changed_spf", "exec"), module.__dict__)

    class Query(module.query):
        # 5.5: a failed lookup of a client's names is no match; 4.6.4: our choice is that none of them counts as void.
        def validated_ptrs(self):
            voids = self.void_lookups
            confirmed = []
            try:
                for name in self.dns_ptr(self.i)[:module.MAX_PTR]:
                    self.void_lookups = 0
                    try:
                        if super().cidrmatch(self.dns_a(name, self.A), self.cidrmax):
                            confirmed.append(name.rstrip("."))
                    except module.TempError:
                        pass
            except (module.TempError, module.PermError):
                pass
            self.void_lookups = voids
            return confirmed

        # 5.4 leaves open whether the other exchanges are looked up after a match; we do not.
        def dns_mx(self, domain):
            names = self.dns(domain, "MX")
            if len(names) > module.MAX_MX:
                raise module.PermError("More than %d MX records returned" % module.MAX_MX)
            return (address for _, name in sorted(names) for address in self.dns_a(name, self.A))

        def cidrmatch(self, addresses, bits):
            return any(super(Query, self).cidrmatch([address], bits) for address in addresses)

    module.query = Query
    return module


class Zone:
    def __init__(self, module, zone):
        self.module, self.zone = module, zone

    def __call__(self, name, qtype, strict=True, timeout=20):
        return list(self.answers(name.lower().rstrip("."), qtype))

    def answers(self, name, qtype):
        found = False
        for record in self.zone.get(name, []):
            if record == "TIMEOUT":
                if found:
                    return
                raise self.module.TempError("DNS no answer")
            for rtype, data in record.items():
                if rtype == qtype or rtype == "CNAME":
                    found = True
                    if rtype == "TXT":
                        data = [data.encode("latin-1")]
                    elif rtype == "MX":
                        data = tuple(data)
                    yield (name, rtype), data
                    if rtype == "CNAME":
                        yield from self.answers(data, qtype)


def check(module, case):
    module.DNSLookup = Zone(module, case["zone"])
    query = module.query(i=case["ip"], s=case["reversePath"], h=case["helo"], receiver="mx.example.org")
    try:
        result, _, text = query.check()
    except Exception as error:
        return ["crash", repr(error)]
    return [result, text]


def main():
    changed = changed_copy()
    cases = json.load(sys.stdin)["cases"]
    json.dump([[check(original, case), check(changed, case)] for case in cases], sys.stdout)


main()
