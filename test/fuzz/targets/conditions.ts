// Languages at the doors: CEL of policies, CEL of kube-apiserver, expr-lang of GroupBindings, a token as the apiserver reads it.
import { problemOfGroupExpression } from '../../../src/core/group_binding/group_expression.ts'
import { checkExpression } from '../../../src/core/kube/cel/check_expression.ts'
import { evaluateExpression } from '../../../src/core/kube/cel/evaluate_expression.ts'
import { readGoJson, toJsonValue } from '../../../src/core/kube/go_json.ts'
import { parseCompact } from '../../../src/core/jwt/compact.ts'
import { readBearerToken } from '../../../src/core/kube/bearer_token.ts'
import { compileCondition } from '../../../src/core/policy/cel.ts'
import { PROBE_CLAIMS } from '../../support/cel_probes.ts'
import { secondOpinion } from '../../support/second_cel.ts'
import { areBracketsClosed } from '../reference/expression.ts'
import { agree, must, phrase } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const CEL_WORDS = [
  ...'claims claims.ref claims.groups claims["ref"] claims.missing client has( size( int( string( type( dyn( timestamp( duration( .exists(x, .all(x, .map(x, .filter(x, .matches( .split( .substring( .lowerAscii() .indexOf( .join( x == != < >= && || ! ? : in + - * / % ( ) [ ] { } , . "a" \'b\' "main" 1 0 2.5 1u b"a" null true false // 9223372036854775807 0x1F 1e9 r"\\d" """'.split(
    ' ',
  ),
  ' ',
  '\n',
]

/** Without what the second opinion reads differently and we know it (test/core/cel_second_opinion.test.ts). */
const { ref, empty, exp, half, flag, groups, numbers, lists, none } = PROBE_CLAIMS
const CLAIMS = Object.fromEntries(
  Object.entries({ ref, empty, exp, half, flag, groups, numbers, lists, none }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  ),
)

/** Known to be read differently there, and by us as CEL says. */
const THEIR_BUGS = /timestamp\(|[^\0-\x7e]|\\[xuU0-7]|double\(|%|\/\/|__|null|constructor|prototype/

const condition: FuzzTarget = {
  name: 'condition',
  about:
    'conditions of policies: load or say why, bounded in time, and hold only where @bufbuild/cel says true',
  seeds: [
    'claims.ref == "main" && "a" in claims.groups',
    'claims.groups.exists(x, x.startsWith("a")) || claims.missing == 1',
    'has(claims.ref) ? int(claims.exp) + 1 > 2 : false',
    'claims.groups.map(x, x + "y").join(",").matches("^ay,") && timestamp(0) < timestamp("2027-01-01T00:00:00Z")',
    '[][0] > 1',
  ],
  words: CEL_WORDS,
  check: (input) => {
    const text = input.toString('utf8')
    const compiled = compileCondition(text)
    if (!compiled.ok) return `refused: ${phrase(compiled.denial.message)}`
    const { held, detail } = compiled.value.holds({ claims: CLAIMS, client: 'ci', connector: 'gitlab' })
    must(!detail.includes('1795219200') || text.includes('1795219200'), 'the answer has a value in it')
    if (!held) return `does not hold: ${phrase(detail)}`
    if (THEIR_BUGS.test(text)) return 'holds, not compared'
    agree('holds', 'true', secondOpinion(text, CLAIMS))
    return 'holds'
  },
}

const kubeCondition: FuzzTarget = {
  name: 'kube-cel',
  about: "kube-apiserver's expressions: every text is refused or evaluated, and refused alike a second time",
  seeds: [
    'claims.email_verified == true',
    '"prefix:" + claims.sub',
    'claims.?groups.orValue([])',
    'claims.groups.filter(x, x.startsWith("a"))',
    'has(claims.x) ? claims.x : "none"',
    '[?claims.x]',
  ],
  words: [
    ...CEL_WORDS,
    'claims.?',
    '[?',
    '{?',
    '.orValue(',
    'optional.none()',
    '.optMap(x, ',
    'cel.bind(',
    'sets.contains(',
    'math.greatest(',
    '.all(i, v, ',
    '`a.b`',
    '.format([',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const checked = checkExpression(text, 'claim_validation')
    agree('again', checkExpression(text, 'claim_validation').ok, checked.ok)
    if (!checked.ok) {
      must(checked.denial.line >= 1 && checked.denial.column >= 1, 'a place that is none')
      return `refused: ${phrase(checked.denial.message.replace('compilation failed: ', ''))}`
    }
    const value = evaluateExpression(checked.value, { claims: CLAIMS })
    return value.ok ? `value: ${typeof value.value}` : `${value.denial.kind}: ${phrase(value.denial.message)}`
  },
}

const groupExpression: FuzzTarget = {
  name: 'group-expression',
  about:
    'expr-lang of GroupBindings: every text is taken or refused at a place inside of it; what is taken has its brackets closed',
  seeds: [
    '"a" in groups',
    'len(groups) > 0 and not ("b" in groups)',
    'any(groups, {# startsWith "c:"})',
    'groups[0] matches "^a" ? true : false',
    '`raw` == "x" /* c */ // d',
    'let x = groups; x != []',
  ],
  words: [
    'groups',
    'in',
    'not',
    'and',
    'or',
    'matches',
    'startsWith',
    'contains',
    '"a"',
    "'b'",
    '`',
    '#',
    '#index',
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    '..',
    '?.',
    '??',
    '|',
    'let',
    ';',
    '=',
    '==',
    'len(',
    'any(',
    'filter(',
    'all(',
    '1',
    '0x',
    '1_0',
    '.5',
    '/*',
    '*/',
    '//',
    '\\x41',
    '\\u{1F600}',
    'nil',
    'true',
    '$env',
    ',',
    ':',
    '?',
    '-',
    '**',
    '%',
    '\n',
  ],
  check: (input) => {
    const text = input.toString('utf8')
    const problem = problemOfGroupExpression(text)
    if (problem === undefined) {
      must(areBracketsClosed(text), 'taken with a bracket or a text left open')
      return 'taken'
    }
    const lines = text.split('\n')
    must(problem.line >= 1 && problem.line <= lines.length, `line ${problem.line} of ${lines.length}`)
    must(
      problem.column >= 1 && problem.column <= Array.from(lines[problem.line - 1] ?? '').length + 2,
      `column ${problem.column}`,
    )
    return `refused: ${phrase(problem.message)}`
  },
}

const bearer: FuzzTarget = {
  name: 'kube-bearer',
  about:
    "a token as kube-apiserver takes it apart: whatever our own broker's parser takes, it takes, and reads the same",
  seeds: [
    '{"alg":"ES256","kid":"k"}\n{"iss":"https://i","sub":"s"}',
    '{"alg":"RS256","crit":["b64"]}\n{"iss":"i","iss":"j"}',
    '{"alg":"none"}\n{"iss":1}',
    'null\n{"iss":"i"}',
  ],
  words: [
    '{',
    '}',
    '"',
    ':',
    ',',
    '"iss":',
    '"alg":',
    '"kid":',
    'null',
    '1e400',
    '\\u0000',
    '\\ud800',
    '"\u00e9"',
    '[',
    ']',
    '\n',
    '\ufeff',
    '\u0000',
  ],
  check: (input) => {
    const json = readGoJson(input)
    const read = jsonOrUndefined(input)
    // Go takes broken UTF-8 and lone surrogates, and is the stricter one about nothing but depth.
    if (json.ok && read !== undefined && !/[\ufffd]|\\u|__proto__/.test(input.toString('utf8')))
      agree('JSON', toJsonValue(json.value), read)
    if (!json.ok && input.length < 50) must(read === undefined, `JSON.parse takes it: ${json.denial}`)
    const at = input.indexOf('\n')
    const [head, body] =
      at === -1 ? [input, Buffer.from('{}')] : [input.subarray(0, at), input.subarray(at + 1)]
    const token = `${head.toString('base64url')}.${body.toString('base64url')}.AA`
    const ours = parseCompact(token)
    const theirs = readBearerToken(token)
    if (!theirs.ok) {
      must(
        !ours.ok || typeof ours.value.claims['iss'] !== 'string' || token.length > 16_000,
        `only we take it apart: ${theirs.denial}`,
      )
      return `refused: ${phrase(theirs.denial)}`
    }
    if (ours.ok) agree('issuer', theirs.value.issuer, ours.value.claims['iss'] ?? '')
    return `taken${ours.ok ? ' by both' : ''}, header ${theirs.value.header.ok ? 'good' : 'bad'}`
  },
}

function jsonOrUndefined(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    // JSON.parse throws for exactly what is no JSON.
    return undefined
  }
}

export const CONDITION_TARGETS: readonly FuzzTarget[] = [condition, kubeCondition, groupExpression, bearer]
