// Names as Kubernetes escapes them for CEL: `a__dot__b` is `a.b`. k8s.io/apiserver 1.36 pkg/cel/escaping.go.

const RESERVED: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
)
const SIGNS: ReadonlyMap<string, string> = new Map([
  ['underscores', '__'],
  ['dot', '.'],
  ['dash', '-'],
  ['slash', '/'],
])

/** What an escaped name stands for, itself when nothing is escaped; `undefined` when it is escaped badly. */
export function unescapeName(name: string): string | undefined {
  let isValid = true
  const plain = name.replaceAll(/__[^_]+__/g, (escaped) => {
    const content = escaped.slice(2, -2)
    const sign = SIGNS.get(content)
    if (sign !== undefined) return sign
    // A reserved word is escaped as a whole name or not at all.
    if (!RESERVED.has(content) || escaped.length !== name.length) isValid = false
    return content
  })
  return isValid ? plain : undefined
}
