// Who did what, until it is seen: for how long, of how many, and without keeping any object alive.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { JudgedRequests } from '../../webhook/ledger/judged_requests.ts'
import type { JudgedRequest } from '../../webhook/judge/cluster_port.ts'
import { aModule, alice, NOON, pipeline } from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const BEFORE = aModule({ versions: ['1.0.0'] })

function request(
  edit: Partial<JudgedRequest> = {},
  next: ModuleEdit = { versions: ['1.0.0', '1.1.0'] },
): JudgedRequest {
  const about = { namespace: 'infra', name: 'terraform-aws-vpc', subResource: '', dryRun: false } as const
  return {
    subject: { resource: 'modules', operation: 'UPDATE', old: BEFORE, new: aModule(next), ...about },
    user: alice,
    oldResourceVersion: '7',
    objectUid: 'u-1',
    atSeconds: NOON,
    ...edit,
  }
}

function authorOf(judged: JudgedRequests, uid = 'u-1', versions = ['1.0.0', '1.1.0']): string | undefined {
  const commit = { uid, oldResourceVersion: '7', before: BEFORE, after: aModule({ versions }) }
  return judged.authorOf(commit)?.attribution.by
}

t.test('a commit is claimed by the request that asked for it', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request())
  t.equal(authorOf(judged), 'alice')
  t.equal(authorOf(judged, 'u-1', ['1.1.0', '1.0.0']), 'alice', 'in whatever order')
  t.equal(authorOf(judged, 'u-1', ['1.0.0', 'v1.1.0']), undefined)
  t.equal(authorOf(judged, 'u-2'), undefined)
})

t.test('of two that differ in more than the name nobody is the author', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request({ user: pipeline({ 'repository-id': '666' }) }))
  t.equal(authorOf(judged), pipeline().username)
  judged.add(request({ user: pipeline() }))
  t.equal(authorOf(judged), undefined, 'the same name, of two repositories')
  const twice = new JudgedRequests()
  twice.add(request({ user: pipeline() }))
  twice.add(request({ user: pipeline() }))
  t.equal(authorOf(twice), pipeline().username, 'who asks twice is still one')
})

t.test('a difference of any length is told apart', async (t) => {
  const judged = new JudgedRequests()
  const many = Array.from({ length: 400 }, (_, index) => `1.0.${index}`)
  judged.add(request({}, { versions: many }))
  t.equal(authorOf(judged, 'u-1', many), 'alice')
  t.equal(authorOf(judged, 'u-1', [...many, '2.0.0']), undefined)
})

t.test('a request without the entries that both lists have claims the same commit', async (t) => {
  const judged = new JudgedRequests()
  const { subject } = request()
  if (subject.resource !== 'modules') throw new Error('a Module')
  const slim = { ...subject, old: aModule({ versions: [] }), new: aModule({ versions: ['1.1.0'] }) }
  judged.add(request({ subject: slim }))
  t.equal(authorOf(judged), 'alice')
})

t.test('what changes no list is not remembered', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request({}, { versions: ['1.0.0'] }))
  t.equal(authorOf(judged, 'u-1', ['1.0.0']), undefined)
})

const to = (bucket: string) => ({ versions: ['1.0.0'], config: { storageConfig: { s3: { bucket } } } })

t.test('a move is claimed by the request that asked for this very place', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request({}, to('modules-eu')))
  const mover = (bucket: string): string | undefined => {
    const commit = { uid: 'u-1', oldResourceVersion: '7', before: BEFORE, after: aModule(to(bucket)) }
    return judged.authorOf(commit)?.attribution.by
  }
  t.equal(mover('modules-eu'), 'alice')
  t.equal(mover('elsewhere'), undefined)
})

t.test('after two minutes it is forgotten', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request())
  judged.add(request({ objectUid: 'u-2', atSeconds: NOON + 119 }))
  t.equal(authorOf(judged), 'alice')
  judged.add(request({ objectUid: 'u-3', atSeconds: NOON + 120 }))
  t.equal(authorOf(judged), undefined)
  t.equal(authorOf(judged, 'u-2'), 'alice')
})

t.test('of ten thousand the oldest goes first', async (t) => {
  const judged = new JudgedRequests()
  for (let index = 0; index <= 10_000; index += 1) judged.add(request({ objectUid: `u-${index}` }))
  t.equal(authorOf(judged, 'u-0'), undefined)
  t.equal(authorOf(judged, 'u-1'), 'alice')
  t.equal(authorOf(judged, 'u-10000'), 'alice')
})

t.test('ten thousand requests on one object are no more than that', async (t) => {
  const judged = new JudgedRequests()
  for (let index = 0; index <= 10_000; index += 1) judged.add(request({ oldResourceVersion: String(index) }))
  t.equal(authorOf(judged), undefined, 'all of that object went at once')
  judged.add(request())
  t.equal(authorOf(judged), 'alice')
})

t.test('whoever deletes what finalizers hold is remembered until it is gone', async (t) => {
  const judged = new JudgedRequests()
  const { subject } = request()
  if (subject.resource !== 'modules') throw new Error('a Module')
  judged.add(request({ subject: { ...subject, operation: 'DELETE', new: undefined } }))
  judged.isLeaving('u-1')
  judged.add(request({ objectUid: 'u-9', atSeconds: NOON + 3600 }))
  t.equal(judged.removerOf('u-1')?.attribution.by, 'alice')
  t.equal(judged.removerOf('u-1'), undefined, 'it is gone once')
  t.equal(judged.removerOf('u-2'), undefined)
})

t.test('names that no schema has room for are cut, and what steers a terminal is written out', async (t) => {
  const judged = new JudgedRequests()
  judged.add(request({ user: { ...alice, username: `\u001b[31m${'x'.repeat(600)}` } }))
  const by = authorOf(judged)
  t.equal(by?.length, 512)
  t.match(by, /^\\u\{1b\}\[31mxxx/)
})

t.test('ten thousand remembered requests keep none of their objects', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('no garbage collector to call')
  const judged = new JudgedRequests()
  const objects = [0, 1, 2].map((index) => {
    const made = request({ objectUid: `u-${index}` }, { versions: ['1.0.0', '1.1.0', '1.2.0'] })
    judged.add(made)
    return new WeakRef(made.subject)
  })
  // A WeakRef holds what it was asked for until the turn ends.
  await new Promise((next) => setImmediate(next))
  collect()
  t.strictSame(
    objects.map((object) => object.deref()),
    [undefined, undefined, undefined],
  )
})
