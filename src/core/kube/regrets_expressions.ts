// Expressions that compile and then do not do what was meant. Claims are JSON: every number is a double, and `claims` is
// no map that CEL's `in` knows. Each was measured against k8s.io/apiserver v0.36.4.
import type { AuthenticatorFacts, KnownExpression } from './authenticator_facts.ts'
import type { CallNode, CelExpression } from './cel/syntax.ts'
import { isNamed, memberRead, regretAt, textOf } from './expression_facts.ts'
import { STANDARD_CLAIMS } from './known_issuers.ts'
import type { KubeProblem } from './kube_problem.ts'
import type { KubeVersion } from './kube_version.ts'
import { doubtful, wrong } from './lint_codes.ts'
import { valueRegrets } from './regrets_values.ts'

/** Claims that are numbers by their definition (RFC 7519, OpenID Connect Core). */
const TIMES: ReadonlySet<string> = new Set(['exp', 'iat', 'nbf', 'auth_time', 'updated_at'])

export function expressionRegrets(facts: AuthenticatorFacts, version: KubeVersion): readonly KubeProblem[] {
  return facts.expressions.flatMap((expression) => [
    ...callRegrets(expression, version),
    ...valueRegrets(expression, version),
    ...ruleRegrets(expression),
    ...patternRegrets(expression, expression.facts.tree),
    ...missingClaims(expression, facts),
    ...missingExtra(expression),
  ])
}

function callRegrets(expression: KnownExpression, version: KubeVersion): readonly KubeProblem[] {
  return expression.facts.nodes.flatMap((node) => {
    if (node.kind !== 'call') return []
    return [
      inOnClaims(node, expression, version),
      arithmetic(node, expression),
      textPlusList(node, expression),
      conversion(node, expression),
    ].filter((problem) => problem !== undefined)
  })
}

/** Up to 1.33 `claims` was a map like any other. */
const CLAIMS_ARE_NO_MAP_FROM = 34

function inOnClaims(
  node: CallNode,
  expression: KnownExpression,
  { minor }: KubeVersion,
): KubeProblem | undefined {
  const [member, holder] = node.arguments
  if (node.name !== '@in' || member === undefined || holder === undefined) return undefined
  if (!isNamed(holder, 'claims')) return undefined
  const claim = textOf(member) ?? 'name'
  const since = minor < CLAIMS_ARE_NO_MAP_FROM ? `from Kubernetes 1.${CLAIMS_ARE_NO_MAP_FROM} on ` : ''
  const message = `${since}in does not work on claims: it compiles, and then every token is refused (no such overload)`
  const wayOut = /^[a-z_]\w*$/i.test(claim)
    ? `write has(claims.${claim})`
    : `write claims[?${JSON.stringify(claim)}].hasValue()`
  return wrong('in_on_claims', regretAt(expression, node.place), message, wayOut)
}

/** A double and an int add up to an error; comparing them is fine. */
function arithmetic(node: CallNode, expression: KnownExpression): KubeProblem | undefined {
  if (!['_+_', '_-_', '_*_', '_/_', '_%_'].includes(node.name)) return undefined
  const [left, right] = node.arguments
  if (left === undefined || right === undefined) return undefined
  const integer = [left, right].find((side) => side.kind === 'literal' && side.literal.kind === 'int')
  const other = integer === left ? right : left
  if (integer?.kind !== 'literal' || integer.literal.kind !== 'int' || !isClaimNumber(other)) return undefined
  const message = 'numbers of a token are doubles, and a double and an int cannot be added (no such overload)'
  const wayOut = `write ${integer.literal.value}.0`
  return wrong('claim_number_is_double', regretAt(expression, integer.place), message, wayOut)
}

/** Claims that are lists wherever they are sent. */
const LISTS: ReadonlySet<string> = new Set(['groups', 'groups_direct', 'roles', 'amr', 'permissions'])

function textPlusList(node: CallNode, expression: KnownExpression): KubeProblem | undefined {
  if (node.name !== '_+_') return undefined
  const text = node.arguments.find((side) => textOf(side) !== undefined)
  const other = node.arguments.find((side) => side !== text)
  const claim = other === undefined ? undefined : memberRead(other, 'claims')?.name
  if (text === undefined || claim === undefined || !LISTS.has(claim)) return undefined
  const message = `${claim} is a list, and a text and a list cannot be added (no such overload)`
  const wayOut = `write dyn(claims.${claim}).map(one, '${textOf(text) ?? ''}' + one)`
  return wrong('text_plus_list', regretAt(expression, node.place), message, wayOut)
}

function isClaimNumber(node: CelExpression): boolean {
  if (memberRead(node, 'claims') !== undefined) return true
  return node.kind === 'call' && /^_[-+*/%]_$/.test(node.name) && node.arguments.some(isClaimNumber)
}

function conversion(node: CallNode, expression: KnownExpression): KubeProblem | undefined {
  const [value] = node.arguments
  const claim = value === undefined ? undefined : memberRead(value, 'claims')?.name
  if (claim === undefined || node.target !== undefined) return undefined
  if (node.name === 'timestamp' && TIMES.has(claim)) {
    const message = 'numbers of a token are doubles, and timestamp() takes none (no such overload)'
    return wrong(
      'claim_number_is_double',
      regretAt(expression, node.place),
      message,
      `write timestamp(int(claims.${claim}))`,
    )
  }
  if (node.name !== 'string' || !(TIMES.has(claim) || /(?:^|_)(?:id|uid|gid|number|iid)$/.test(claim))) {
    return undefined
  }
  const message = `when ${claim} is a JSON number, string() makes 1.2345678e+07 of 12345678`
  const wayOut = `write string(int(claims.${claim})), or claims.${claim} alone when it is a text`
  return doubtful('number_as_text', regretAt(expression, node.place), message, wayOut)
}

function ruleRegrets(expression: KnownExpression): readonly KubeProblem[] {
  const { use, facts, keys } = expression
  if (use !== 'claim_validation' && use !== 'user_validation') return []
  const variable = use === 'claim_validation' ? 'claims' : 'user'
  if (facts.nodes.some((node) => isNamed(node, variable))) return []
  const message = `the rule does not read ${variable}: it says the same of every token`
  const wayOut =
    use === 'claim_validation'
      ? "compare a claim: claims.hd == 'example.com'"
      : 'read user.username or user.groups'
  return [doubtful('rule_reads_nothing', { keys }, message, wayOut)]
}

/** Claims that hold names: `acme` begins `acme-evil` too. */
const NAMES: ReadonlySet<string> = new Set([
  'sub',
  'repository',
  'repository_owner',
  'project_path',
  'namespace_path',
  'workflow_ref',
  'job_workflow_ref',
  'preferred_username',
  'email',
])

/** Of what a rule demands; what it forbids may be as wide as it likes. */
function patternRegrets(expression: KnownExpression, node: CelExpression): readonly KubeProblem[] {
  if (expression.use !== 'claim_validation') return []
  if (node.kind !== 'call') return []
  if (node.name === '!_') return []
  const own = patternRegret(expression, node)
  if (own !== undefined) return [own]
  return [...node.arguments, ...(node.target === undefined ? [] : [node.target])].flatMap((child) =>
    patternRegrets(expression, child),
  )
}

function patternRegret(expression: KnownExpression, node: CallNode): KubeProblem | undefined {
  const { name, target } = node
  const [argument] = node.arguments
  const claim = target === undefined ? undefined : memberRead(target, 'claims')?.name
  const text = argument === undefined ? undefined : textOf(argument)
  if (claim === undefined || text === undefined || !NAMES.has(claim)) return undefined
  const where = regretAt(expression, node.place)
  if (name === 'matches' && !(text.startsWith('^') && text.endsWith('$'))) {
    const message = `matches() looks for the pattern anywhere in ${claim}`
    return doubtful(
      'pattern_not_anchored',
      where,
      message,
      `write ^ before and $ behind it: '^${text.replace(/^\^|\$$/g, '')}$'`,
    )
  }
  if (name === 'contains') {
    const message = `contains() finds ${JSON.stringify(text)} anywhere in ${claim}: others can have it in their names`
    return doubtful(
      'pattern_not_anchored',
      where,
      message,
      `compare the whole: claims.${claim} == '...', or an id`,
    )
  }
  if (name !== 'startsWith' || !/[A-Za-z0-9]$/.test(text)) return undefined
  const message = `names that begin with ${JSON.stringify(text)} can go on: ${text}-evil does`
  return doubtful('pattern_open_ended', where, message, `end it where the name ends: '${text}/'`)
}

/** In a mapping that may be empty, a claim that is not there should give nothing; it gives 401. */
function missingClaims(expression: KnownExpression, facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { use } = expression
  if (use !== 'groups' && use !== 'extra' && use !== 'uid') return []
  const { claims } = expression.facts
  const safe = new Set([
    ...STANDARD_CLAIMS,
    ...facts.ruleClaims,
    ...facts.username.claims,
    ...(facts.issuer === undefined ? [] : sentBy(facts.issuer)),
    ...claims.filter(({ isSafe }) => isSafe).map(({ name }) => name),
  ])
  const missing = new Map(claims.filter(({ name }) => !safe.has(name)).map((claim) => [claim.name, claim]))
  return [...missing.values()].map(({ name, place }) => {
    const message = `a token without ${name} is refused altogether (no such key: ${name})`
    const empty = use === 'groups' ? '[]' : "''"
    const wayOut = /^[a-z_]\w*$/i.test(name)
      ? `write claims.?${name}.orValue(${empty}), or make a claim rule say that it must be there: has(claims.${name})`
      : `write claims[?${JSON.stringify(name)}].orValue(${empty})`
    return doubtful('optional_claim_unguarded', regretAt(expression, place), message, wayOut)
  })
}

function sentBy(issuer: NonNullable<AuthenticatorFacts['issuer']>): readonly string[] {
  const names = issuer.isCi ? issuer.nameClaims : []
  const owners = issuer.name === 'Forgejo Actions' || issuer.name === 'Codeberg' ? [] : issuer.ownerClaims
  return [...names, ...(issuer.isCi ? owners : []), ...issuer.alwaysSent]
}

/** `user.extra["example.com/x"]` of a user without it is an error, and the user is refused. */
function missingExtra(expression: KnownExpression): readonly KubeProblem[] {
  if (expression.use !== 'user_validation') return []
  const { nodes } = expression.facts
  const isAsked = nodes.some(
    (node) =>
      (node.kind === 'call' &&
        node.name === '@in' &&
        node.arguments[1] !== undefined &&
        isExtra(node.arguments[1])) ||
      (node.kind === 'select' && node.isTest && isExtra(node.operand)),
  )
  if (isAsked) return []
  const read = nodes.find(
    (node) =>
      node.kind === 'call' &&
      node.name === '_[_]' &&
      node.arguments[0] !== undefined &&
      isExtra(node.arguments[0]),
  )
  if (read === undefined) return []
  const message = 'a user without this key of extra is refused (no such key)'
  const wayOut = 'when that is not meant: !("example.com/x" in user.extra) || ...'
  return [doubtful('user_extra_unguarded', regretAt(expression, read.place), message, wayOut)]
}

function isExtra(node: CelExpression): boolean {
  return node.kind === 'select' && !node.isTest && node.field === 'extra' && isNamed(node.operand, 'user')
}
