import t from 'tap'
import type { Claims } from '../../src/core/claims.ts'
import { parseTemplate } from '../../src/core/policy/template.ts'

const claims: Claims = {
  project_path: 'acme/vpc',
  runner_id: 7,
  protected: true,
  empty: '',
  nothing: null,
  list: ['a'],
  object: { name: 'inner' },
  long: 'x'.repeat(1100),
  lines: 'a\nb',
  bidi: 'a\u202eb',
}

function render(text: string): string {
  const parsed = parseTemplate(text)
  if (!parsed.ok) return `malformed: ${parsed.problem.code}`
  const rendered = parsed.template.render(claims)
  return rendered.ok ? rendered.text : `refused: ${rendered.detail}`
}

t.test('a template puts verified claims into literal text', async (t) => {
  t.equal(render('gitlab:${project_path}'), 'gitlab:acme/vpc')
  t.equal(render('r${runner_id}-${protected}'), 'r7-true')
  t.equal(render('${/object/name}!'), 'inner!')
  t.equal(render('plain'), 'plain')
})

t.test('a doubled dollar stands for a literal one in front of a brace', async (t) => {
  t.equal(render('$${project_path}'), '${project_path}')
  t.equal(render('costs $5'), 'costs $5')
  t.equal(render('$$'), '$$')
  t.equal(render('$$${project_path}'), '$${project_path}')
})

t.test('a claim that is absent, empty, null, a list or an object gives no output', async (t) => {
  t.equal(render('x-${missing}'), 'refused: claim missing is absent')
  t.equal(render('x-${empty}'), 'refused: claim empty is empty')
  t.equal(render('x-${nothing}'), 'refused: claim nothing is null')
  t.equal(render('x-${list}'), 'refused: claim list is a list')
  t.equal(render('x-${object}'), 'refused: claim object is an object')
  t.equal(render('x-${toString}'), 'refused: claim toString is absent')
})

t.test('an output is at most 1024 characters long and has no control or bidi characters', async (t) => {
  t.equal(render('${long}'), 'refused: longer than 1024 characters')
  t.equal(render('${lines}'), 'refused: has control characters')
  t.equal(render('${bidi}'), 'refused: has control characters')
  t.equal(render('${project_path}'), 'acme/vpc')
})

t.test('a template that cannot be read is refused when it is loaded', async (t) => {
  for (const text of ['', 'a${open', 'a\u0000b', 'x'.repeat(1025)])
    t.equal(render(text), 'malformed: template_malformed', text.slice(0, 20))
  for (const text of ['${}', '${$.a}', '${/a/}', '${claims.ref}'])
    t.equal(render(text), 'malformed: claim_reference_malformed', text)
})
