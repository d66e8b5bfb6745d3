// What lists of hundreds cost: kube-apiserver refuses what is above its budget.
import type { Test } from 'tap'
import type { Ask, KubeAsker, Told } from '../../support/kube_asker.ts'
import { done, MERGE, placeOf } from './asking.ts'
import { ALICE, API_VERSION, MALLORY, numbered } from './attack.ts'
import type { Json } from './attack.ts'

/** Figures are told, and only that the server goes on judging is held: the machine is shared. */
export async function measure(t: Test, asker: KubeAsker): Promise<void> {
  for (const count of [100, 300, 500]) {
    for (const prefix of ['', 'v']) {
      const times = await timesAt(
        t,
        asker,
        numbered(count).map((version) => `${prefix}${version}`),
      )
      t.comment(`${count} versions${prefix === '' ? '' : ' with v'}, p50 in ms: ${times.join(', ')}`)
    }
    await pinned(t, asker, count)
  }
}

async function timesAt(t: Test, asker: KubeAsker, versions: readonly string[]): Promise<readonly string[]> {
  const name = `cost-${versions.length}${versions[0]?.startsWith('v') === true ? '-v' : ''}`
  const { path } = placeOf('enforce', name)
  const entries = versions.map((version) => ({ version }))
  const moduleConfig = { fileFormat: 'zip', immutable: true, repoOwner: 'acme', provider: 'aws' }
  const object = {
    apiVersion: API_VERSION,
    kind: 'Module',
    metadata: { name },
    spec: { moduleConfig, versions: entries.slice(0, -1) },
  }
  const one = path('modules', name)
  const asks: Readonly<Record<string, Ask>> = {
    create: { method: 'POST', path: `${path('modules')}?dryRun=All`, body: object, as: ALICE },
    append: {
      method: 'PATCH',
      path: `${one}?dryRun=All`,
      body: [{ op: 'add', path: '/spec/versions/-', value: entries.at(-1) }],
      contentType: 'application/json-patch+json',
      as: ALICE,
    },
    reversed: {
      method: 'PATCH',
      path: `${one}?dryRun=All`,
      body: { spec: { versions: entries.toReversed() } },
      contentType: MERGE,
      as: ALICE,
    },
  }
  await done(asker, { method: 'POST', path: path('modules'), body: object, as: ALICE })
  const told: string[] = []
  for (const [what, asked] of Object.entries(asks)) {
    const answers: Told[] = []
    for (let round = 0; round < 7; round += 1) answers.push(await asker.ask(asked))
    const refused = answers.find(({ status }) => status > 201 && status !== 409)
    t.equal(refused, undefined, `${versions.length} ${what}: ${refused?.message ?? ''}`)
    const sorted = answers.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b)
    told.push(`${what} ${sorted[3]?.toFixed(0)}`)
  }
  const emptied = await asker.ask({
    method: 'PATCH',
    path: `${one}?dryRun=All`,
    body: { spec: { versions: [] } },
    contentType: MERGE,
    as: ALICE,
  })
  t.match(emptied, { status: 403, message: /WH-V1: .* and [0-9]+ more/ })
  return told
}

const JSON_PATCH = 'application/json-patch+json'

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'

function pins(versions: readonly string[], prefix = ''): Json {
  return { 'sallyport.dev/pins': versions.map((version) => `${prefix}${version}=${COMMIT}`).join(',') }
}

function annotate(annotations: Json): Json {
  return { op: 'replace', path: '/metadata/annotations', value: annotations }
}

/** Each with its commit, as a policy wants it: one more, and all of them written another way by somebody who may not. */
async function pinned(t: Test, asker: KubeAsker, count: number): Promise<void> {
  const name = `pinned-${count}`
  const { path } = placeOf('enforce-strict', name)
  const versions = numbered(count)
  const metadata = { name, labels: { tier: 'gold' }, annotations: pins(versions.slice(0, -1)) }
  const moduleConfig = { fileFormat: 'zip', immutable: true, repoOwner: 'acme', provider: 'aws' }
  const entries = versions.map((version) => ({ version }))
  const object = {
    apiVersion: API_VERSION,
    kind: 'Module',
    metadata,
    spec: { moduleConfig, versions: entries.slice(0, -1) },
  }
  await done(asker, { method: 'POST', path: path('modules'), body: object, as: ALICE })
  const edit = (body: readonly Json[], as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${path('modules', name)}?dryRun=All`,
      body,
      contentType: JSON_PATCH,
      as,
    })
  const add = { op: 'add', path: '/spec/versions/-', value: entries.at(-1) }
  const appended = await edit([annotate(pins(versions)), add], ALICE)
  t.equal(appended.status, 200, `${count} pins appended to: ${appended.message}`)
  const respelled = await edit([annotate(pins(versions.slice(0, -1), 'v'))], MALLORY)
  t.equal(respelled.status, 200, `${count} pins in another spelling: ${respelled.message}`)
  const gone = await edit([annotate(pins(versions.slice(1, -1)))], MALLORY)
  t.match(
    gone,
    { status: 403, message: /WH-P1: the pins of this Module [^]*WH-P2: version 1\.0\.0 / },
    `${count} pins but one`,
  )
  const milliseconds = [appended, respelled, gone].map((told) => told.milliseconds.toFixed(0))
  t.comment(`${count} pins appended to, in another spelling, but one, in ms: ${milliseconds.join(', ')}`)
}
