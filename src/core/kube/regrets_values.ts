// Expressions whose value is not what was meant, or costs more than anybody has: of a type that no name can be, a list that
// the mappings do not take, the names of claims for their values, a list without end. Measured against k8s.io/apiserver
// v0.36.4; of 1.37 read from its sources.
import type { KnownExpression } from './authenticator_facts.ts'
import type { CallNode, CelExpression, ComprehensionNode } from './cel/syntax.ts'
import { isNamed, memberRead, regretAt, textsIn, walk } from './expression_facts.ts'
import type { KubeProblem } from './kube_problem.ts'
import type { KubeVersion } from './kube_version.ts'
import { doubtful, wrong } from './lint_codes.ts'

export function valueRegrets(expression: KnownExpression, version: KubeVersion): readonly KubeProblem[] {
  return [
    ...typeRegrets(expression),
    ...listRegrets(expression),
    ...expression.facts.nodes.flatMap((node) => [
      ...(node.kind === 'call' ? rangeRegrets(node, expression, version) : []),
      ...(node.kind === 'comprehension' ? keyRegrets(node, expression) : []),
    ]),
  ]
}

const TEXT = String.raw`(?:string|any|dyn|wrapper\(string\))`
const ONE_TEXT = new RegExp(`^${TEXT}$`)
/** An optional in a list counts as what is inside. */
const TEXTS = new RegExp(String.raw`^(?:null|${TEXT}|list\((?:${TEXT}|optional_type\(${TEXT}\))\))$`)

/** The compiler lets every type pass; only the first token shows that it is none. */
function typeRegrets({ use, resultType, keys }: KnownExpression): readonly KubeProblem[] {
  if (use === 'claim_validation' || use === 'user_validation') return []
  const isOne = use === 'username' || use === 'uid'
  if ((isOne ? ONE_TEXT : TEXTS).test(resultType)) return []
  const wanted = isOne ? 'a text' : 'a text or a list of texts'
  const isOptional = resultType.startsWith('optional_type')
  const message = `the value is ${isOptional ? 'an optional' : `of type ${resultType}`} and not ${wanted}: every token is refused`
  const wayOut = isOptional
    ? `add .orValue(${use === 'groups' ? '[]' : "''"})`
    : `make ${wanted} of it: string(...)${isOne ? '' : ', .map(x, string(x))'}`
  return [wrong('value_not_text', { keys }, message, wayOut)]
}

/** Functions whose native list the apiserver's mappings do not take. */
const NATIVE_LISTS: ReadonlySet<string> = new Set(['split', 'findAll'])

/** The value of a mapping may be a list of CEL, not the []string that some functions give. */
function listRegrets(expression: KnownExpression): readonly KubeProblem[] {
  const { use, facts } = expression
  if (use !== 'groups' && use !== 'extra') return []
  return results(facts.tree)
    .filter((node) => node.target !== undefined && NATIVE_LISTS.has(node.name))
    .map((node) => {
      const message = `the apiserver does not take the list that ${node.name}() gives: every token with this claim is refused`
      const wayOut = `write .${node.name}(...).map(x, x)`
      return wrong('list_not_accepted', regretAt(expression, node.place), message, wayOut)
    })
}

/** The calls that can be the value as they are: in both branches of `?:`, in `dyn()`, in an optional, beside an empty list. */
function results(node: CelExpression): readonly CallNode[] {
  // optMap() binds its variable by a loop over nothing
  if (node.kind === 'comprehension') return isBinding(node) ? results(node.result) : []
  if (node.kind !== 'call') return []
  const { name, target, arguments: args } = node
  const [first] = args
  if (name === '_?_:_') return args.slice(1).flatMap(results)
  if (name === '_+_') return args.some(isEmptyList) ? args.flatMap(results) : []
  if (name === 'dyn' && first !== undefined) return results(first)
  const isOptional = target !== undefined && isNamed(target, 'optional')
  if (name === 'optional.of' || (isOptional && name === 'of')) return args.flatMap(results)
  if (name === 'orValue' && target !== undefined) return [target, ...args].flatMap(results)
  return [node]
}

function isBinding({ range }: ComprehensionNode): boolean {
  return isEmptyList(range)
}

function isEmptyList(node: CelExpression): boolean {
  return node.kind === 'list' && node.elements.length === 0
}

/** More than the elements of any claim; Kubernetes 1.37 stops there itself. */
const MAX_RANGE = 1_000_000
const LIMITS_RANGES_FROM = 37

/** Up to 1.36 the list is made before its cost is counted, and nothing ends it but the memory of the apiserver. */
function rangeRegrets(
  node: CallNode,
  expression: KnownExpression,
  { minor }: KubeVersion,
): readonly KubeProblem[] {
  const isRange =
    node.name === 'lists.range' ||
    (node.name === 'range' && node.target !== undefined && isNamed(node.target, 'lists'))
  const [size] = node.arguments
  if (!isRange || size === undefined) return []
  const bound = largest(size)
  if (bound !== undefined && bound <= MAX_RANGE) return []
  const where = regretAt(expression, node.place)
  if (minor >= LIMITS_RANGES_FROM) {
    if (bound === undefined) return []
    const message = `lists.range() goes to ${MAX_RANGE} and no further: every token is refused`
    return [wrong('range_unbounded', where, message, 'go over a list of the token instead')]
  }
  const message =
    bound === undefined
      ? 'whoever writes the claim says how long this list is, and no limit holds before it is made: one token can take all memory of the apiserver'
      : `the list of ${bound} numbers is made for every token, before any limit holds: the apiserver hangs`
  const wayOut =
    'go over a list of the token itself: dyn(claims.x).all(...); or count up to its size: lists.range(size(dyn(claims.x)))'
  return [wrong('range_unbounded', where, message, wayOut)]
}

/** How large a number can be at most; `undefined` when the token says. A token has no more parts than MAX_RANGE. */
function largest(node: CelExpression): number | undefined {
  if (node.kind === 'literal') return node.literal.kind === 'int' ? Number(node.literal.value) : undefined
  if (node.kind !== 'call') return undefined
  if (['size', 'indexOf', 'lastIndexOf'].includes(node.name)) return MAX_RANGE
  const bounds = node.arguments.map(largest)
  const [left, right] = bounds
  switch (node.name) {
    case '_+_':
      return left === undefined || right === undefined ? undefined : left + right
    case '_*_':
      return left === undefined || right === undefined ? undefined : left * right
    case '_-_':
      return right === undefined ? undefined : left
    case '_?_:_':
      return bounds[1] === undefined || bounds[2] === undefined ? undefined : Math.max(bounds[1], bounds[2])
    case '_%_':
      return right
    default:
      return undefined
  }
}

/** A loop over a map is one over its keys: of `claims`, the names of the claims. */
function keyRegrets(node: ComprehensionNode, expression: KnownExpression): readonly KubeProblem[] {
  if (node.secondVariable !== undefined) return []
  const map = mapOf(node.range)
  if (map === undefined) return []
  const body = [...walk(node.step), ...walk(node.condition)]
  if (
    body.some((one) => isLookedUp(one, node.variable)) ||
    textsIn(body).some((text) => map.known.test(text))
  )
    return []
  const message = `a loop over ${map.says} goes over ${map.keys}, not over the values`
  return [doubtful('keys_not_values', regretAt(expression, node.place), message, map.wayOut)]
}

type LoopedMap = {
  readonly says: string
  readonly keys: string
  readonly wayOut: string
  /** Texts that somebody writes who knows that he has keys before him. */
  readonly known: RegExp
}

const CLAIMS: LoopedMap = {
  says: 'claims',
  keys: 'the names of the claims',
  wayOut: "name the claim: dyn(claims.groups).exists(g, g == '...'); or look it up: claims[k]",
  known: /^(?:iss|sub|aud|exp|iat)$/,
}
const USER_EXTRA: LoopedMap = {
  says: 'user.extra',
  keys: 'its keys',
  wayOut: 'look the values up: user.extra.all(k, user.extra[k].all(v, ...))',
  known: /\//,
}
const REALM_ACCESS: LoopedMap = {
  says: 'realm_access',
  keys: 'its keys, and roles is the only one',
  wayOut: "write dyn(claims.realm_access.roles).exists(r, r == '...')",
  known: /^roles$/,
}

function mapOf(range: CelExpression): LoopedMap | undefined {
  if (range.kind === 'call' && range.name === 'dyn' && range.arguments[0] !== undefined) {
    return mapOf(range.arguments[0])
  }
  if (isNamed(range, 'claims')) return CLAIMS
  if (memberRead(range, 'user')?.name === 'extra') return USER_EXTRA
  return memberRead(range, 'claims')?.name === 'realm_access' ? REALM_ACCESS : undefined
}

function isLookedUp(node: CelExpression, variable: string): boolean {
  if (node.kind !== 'call' || !['_[_]', '_[?_]'].includes(node.name)) return false
  const [, key] = node.arguments
  return key !== undefined && isNamed(key, variable)
}
