// What to write instead: for each kind of refusal the sentence that helps, found by the words of the apiserver's message.

const WAYS_OUT: readonly (readonly [RegExp, string])[] = [
  [
    /expression of type 'any' cannot be range/,
    'wrap the claim in dyn(): dyn(claims.groups).map(g, …); a claim has no type that the apiserver knows',
  ],
  [
    /must evaluate to bool/,
    'compare: claims.x == true, or has(claims.x) && claims.x == "…"; a claim alone is no bool',
  ],
  [/undeclared reference to 'user'/, 'only userValidationRules have `user`; here the variable is `claims`'],
  [
    /undeclared reference to 'claims'/,
    'userValidationRules have `user` (username, uid, groups, extra), not `claims`',
  ],
  [
    /undeclared reference/,
    'name what exists: the variable of this place, a macro variable, or a function of Kubernetes 1.36',
  ],
  [/token recognition error/, String.raw`check the quotes and escapes; in a pattern write r'\d' or '\\d'`],
  [/unsupported syntax: '`'/, "write claims['a.b'] for a claim whose name is no identifier"],
  [/Syntax error|reserved identifier/, 'write one CEL expression; put a nested condition in parentheses'],
  [/found no matching overload for '_(?:==|!=)_'/, 'compare values of one type, or wrap one side in dyn()'],
  [/found no matching overload/, 'check the types of the arguments; string(x) and dyn(x) convert'],
  [/undefined field/, 'user has username, uid, groups and extra'],
  [
    /expected type '.*' but found/,
    'use one type in a list or map, and on both sides of a ternary; dyn() hides a type',
  ],
  [/does not support field selection/, 'select fields of maps only'],
  [/invalid argument to has\(\)/, 'write has(claims.x): a selection with a dot'],
  [
    /iteration variable|simple name|not an identifier|duplicate variable/,
    'write a plain name as the variable of the macro',
  ],
  [/invalid (?:duration|timestamp) argument/, "write duration('1h30m') or timestamp('2026-01-02T03:04:05Z')"],
  [/error parsing regexp|invalid matches argument/, 'write an RE2 pattern: no lookaround, no backreference'],
  [
    /type conversion error|overflow|no such overload/,
    'the value is constant and cannot be converted: write the result',
  ],
  [/index out of range/, 'put only optionals after `?`: claims.?x, not claims.x'],
  [/recursion|too large|exceeds limit/, 'split the expression into several rules'],
]

export function wayOutOf(message: string): string {
  return WAYS_OUT.find(([words]) => words.test(message))?.[1] ?? 'see the CEL language of Kubernetes 1.36'
}
