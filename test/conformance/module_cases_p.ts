// WH-P1, P2: who publishes, and from which commit.
import { job, SHA } from './module_actors.ts'
import type { Row } from './module_cases.ts'

const OTHER_SHA = '0'.repeat(40)
const USER = { offline: ['user', {}] } as const

function append(version: string): string {
  return `kubectl patch module $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"${version}"}}]'`
}

function appendPinned(pin: string): string {
  const annotations = `"annotations":{"sallyport.dev/pins":"${pin}"}`
  const versions = ['1.0.0', '1.1.0', '1.2.0'].map((text) => `{"version":"${text}"}`).join(',')
  return `kubectl patch module $M -n $NS --type merge -p '{"metadata":{${annotations}},"spec":{"versions":[${versions}]}}'`
}

function publishes(name: string, title: string, actor: Row['actor'], more: Partial<Row> = {}): Row {
  return {
    name,
    title: `WH-P1 ${title}`,
    policy: 'team',
    stored: {},
    actor,
    run: append('1.2.0'),
    expect: { forbidden: ['WH-P1'] },
    blind: USER,
    ...more,
  }
}

/** Whose 1.2.0 is let through, as it is at every door. */
function mayPublish(name: string, title: string, actor: Row['actor'], more: Partial<Row> = {}): Row {
  return { ...publishes(name, title, actor, { expect: {}, ...more }), blind: more.blind ?? {} }
}

const WARNED = { expect: { warns: ['WH-P1'] } } as const

export const P_ROWS: readonly Row[] = [
  mayPublish('p1-own', 'the pipeline of the repository, for the tag of the version', job()),
  mayPublish(
    'p1-own-plain',
    'the pipeline of the repository, for the tag without v',
    job({ ref: 'refs/tags/1.2.0' }),
  ),
  mayPublish('p1-own-ssa', 'the pipeline applies what it publishes', job(), {
    storedBy: 'ci-a',
    run: 'kubectl apply --server-side --field-manager ci-a -f -',
    input: { versions: ['1.0.0', '1.1.0', '1.2.0'] },
  }),
  publishes('p1-branch', 'the pipeline of the repository, for a branch', job({ ref: 'refs/heads/main' }), {
    says: /its pipeline runs for "refs\/heads\/main", this version is published from "refs\/tags\/v1\.2\.0", "refs\/tags\/1\.2\.0"/,
  }),
  publishes(
    'p1-other-tag',
    'the pipeline of the repository, for the tag of another version',
    job({ ref: 'refs/tags/v1.3.0' }),
  ),
  publishes('p1-other', 'the pipeline of another repository', job({ repository: 'acme/other' }), {
    says: /its pipeline is of "github\.com\/acme\/other", this Module is published by "github\.com\/acme\/p1-other"/,
  }),
  publishes('p1-fork', 'the pipeline of a repository of the same name', job({ repository: 'mallory/$M' })),
  publishes('p1-renamed', 'a pipeline of the same path with another id', job({ repositoryId: '666' }), {
    ledger: {
      '1.0.0': {
        state: 'present',
        immutable: true,
        source: 'github.com/acme/p1-renamed',
        sourceId: '901234567',
      },
    },
    blind: { ...USER, vap: ['ledger', {}] },
  }),
  publishes('p1-nobody', 'a person whom the policy does not list', 'mallory'),
  publishes('p1-plain', 'a ServiceAccount that the policy does not list', 'plain'),
  publishes('p1-impersonated', 'somebody who writes what a token would say', 'impersonator', {
    says: /what is said of the repository does not come from a token/,
  }),
  publishes('p1-created', 'a person whom the policy does not list makes a Module', 'mallory', {
    stored: undefined,
    run: 'kubectl create -f -',
    input: { versions: ['1.0.0'] },
  }),
  mayPublish('p1-listed', 'a person whom the policy lists', 'alice'),
  mayPublish('p1-argo', 'Argo CD, whom the policy lists', 'argo'),
  mayPublish('p1-controller', 'a controller', 'controller'),
  mayPublish('p1-import', 'an importer makes a Module with its history', 'importer', {
    stored: undefined,
    run: 'kubectl create -f -',
    input: { versions: ['0.1.0', '0.2.0', '1.0.0'] },
  }),
  publishes('p1-import-later', 'an importer adds to a Module', 'importer'),
  publishes('p1-moved', 'a person names another repository', 'mallory', {
    stored: { versions: [] },
    run: `kubectl patch module $M -n $NS --type merge -p '{"spec":{"moduleConfig":{"repoUrl":"https://github.com/mallory/vpc"}}}'`,
    says: /the repository of this Module may not be changed by "mallory"/,
  }),
  mayPublish('p1-annotates', 'a person whom the policy does not list publishes nothing', 'mallory', {
    run: 'kubectl annotate module $M -n $NS team=network',
  }),
  publishes('p1-no-policy', 'without a policy a ServiceAccount is told', 'plain', {
    policy: 'none',
    ...WARNED,
  }),
  publishes('p1-no-policy-argo', 'without a policy Argo CD is told', 'argo', {
    policy: 'none',
    ...WARNED,
    run: 'kubectl apply -f -',
    input: { versions: ['1.0.0', '1.1.0', '1.2.0'] },
  }),
  publishes(
    'p1-no-policy-other',
    'without a policy the pipeline of another repository is told',
    job({ repository: 'acme/other' }),
    {
      policy: 'none',
      ...WARNED,
    },
  ),
  mayPublish('p1-no-policy-own', 'without a policy the pipeline of the repository', job(), {
    policy: 'none',
  }),
  publishes('p1-mode-warned', 'in mode warn', 'mallory', { policy: 'p1-warned', ...WARNED }),
  publishes('p1-mode-audited', 'in mode audit', 'mallory', {
    policy: 'audited',
    expect: { audits: ['WH-P1'] },
  }),
  mayPublish('p1-monorepo', 'the pipeline that the policy names', job({ repository: 'acme/monorepo' }), {
    policy: 'monorepo',
  }),
  mayPublish(
    'p1-monorepo-branch',
    'the pipeline that the policy names, for a branch that it names',
    job({ repository: 'acme/monorepo', ref: 'refs/heads/release/1' }),
    { policy: 'monorepo' },
  ),
  publishes(
    'p1-monorepo-deeper',
    'the pipeline that the policy names, for a branch below those',
    job({ repository: 'acme/monorepo', ref: 'refs/heads/release/1/x' }),
    { policy: 'monorepo' },
  ),
  publishes(
    'p1-monorepo-id',
    'a pipeline of the path that the policy names, with another id',
    job({ repository: 'acme/monorepo', repositoryId: '666' }),
    { policy: 'monorepo' },
  ),
  publishes('p1-monorepo-own', 'the pipeline of the repository, where the policy names another', job(), {
    policy: 'monorepo',
  }),
  {
    ...publishes('p2-missing', '', 'alice', { policy: 'pinned', expect: { forbidden: ['WH-P2'] } }),
    title: 'WH-P2 a version without its commit, where the policy wants one',
    blind: {},
  },
  {
    ...mayPublish('p2-pinned', '', 'alice', { policy: 'pinned', run: appendPinned(`1.2.0=${SHA}`) }),
    title: 'WH-P2 a version with its commit, where the policy wants one',
  },
  {
    ...mayPublish('p2-free', '', 'alice', { run: appendPinned(`1.2.0=${SHA}`) }),
    title: 'WH-P2 a version with its commit, where nobody asked',
  },
  {
    ...publishes('p2-unreadable', '', 'alice', {
      run: appendPinned('1.2.0=main'),
      expect: { invalid: ['WH-P2'] },
    }),
    title: 'WH-P2 a pin that is no commit',
    blind: {},
  },
  {
    ...publishes('p2-moved', '', 'alice', {
      stored: { annotations: { 'sallyport.dev/pins': `1.0.0=${SHA}` } },
      run: `kubectl annotate module $M -n $NS --overwrite sallyport.dev/pins=1.0.0=${OTHER_SHA}`,
      expect: { forbidden: ['WH-P2'] },
    }),
    title: 'WH-P2 a pin is moved',
    blind: {},
  },
  {
    ...publishes('p2-late', '', 'alice', {
      ledger: { '1.0.0': { state: 'present', immutable: true, commit: SHA } },
      run: `kubectl annotate module $M -n $NS sallyport.dev/pins=1.0.0=${OTHER_SHA}`,
      expect: { forbidden: ['WH-P2'] },
    }),
    title: 'WH-P2 a late pin says something else than is remembered',
    blind: { vap: ['ledger', {}] },
  },
  {
    ...mayPublish('p2-late-right', '', 'alice', {
      ledger: { '1.0.0': { state: 'present', immutable: true, commit: SHA } },
      run: `kubectl annotate module $M -n $NS sallyport.dev/pins=1.0.0=${SHA}`,
    }),
    title: 'WH-P2 a late pin says what is remembered',
  },
  {
    ...publishes('p2-other-commit', '', job(), {
      run: appendPinned(`1.2.0=${OTHER_SHA}`),
      expect: { forbidden: ['WH-P2'] },
    }),
    title: 'WH-P2 a pipeline pins another commit than its own',
  },
  {
    ...mayPublish('p2-own-commit', '', job(), { run: appendPinned(`1.2.0=${SHA}`) }),
    title: 'WH-P2 a pipeline pins its own commit',
  },
]
