// The policies of the conformance table. Each covers the namespace that is called like it; `none` is covered by no policy.
import type { Json } from './module_cases.ts'

export type PolicyName = keyof typeof SPECS | 'none'

const IDENTITIES = {
  gitops: { users: ['system:serviceaccount:argocd:argocd-application-controller'] },
  importer: { groups: ['importers'] },
  human: { groups: ['platform'] },
}

function exception(name: string, more: Json): Json {
  return {
    rules: ['WH-V1'],
    modules: [`excepted/${name}`],
    until: '2099-01-01T00:00:00Z',
    approver: 'jo@acme.example',
    reason: 'the customer asked for its name to go',
    ...more,
  }
}

const SPECS = {
  team: {},
  warned: { defaultMode: 'warn' },
  audited: { defaultMode: 'audit' },
  required: { immutability: 'required' },
  monotonic: { ordering: 'monotonic' },
  backport: { ordering: 'backport' },
  pinned: { pins: 'required' },
  excepted: {
    exceptions: [
      exception('v1-excepted', {}),
      exception('v1-excepted-other', { versions: ['1.1.0'] }),
      exception('v1-expired', { until: '2020-01-01T00:00:00Z' }),
      exception('v1-excepted-told', {}),
      exception('s3-excepted', { rules: ['WH-S3'] }),
      exception('s3-excepted-provider', { rules: ['WH-S3'] }),
      exception('p1-depot-excepted', { rules: ['WH-P1'] }),
      exception('p1-excepted-storage', { rules: ['WH-P1'] }),
    ],
  },
  labelled: {
    selector: { matchLabels: { tier: 'gold' } },
    exceptions: [exception('m15-excepted', { modules: ['labelled/m15-excepted'] })],
  },
  loosening: { selector: { matchLabels: { tier: 'gold' } }, defaultMode: 'warn' },
  monorepo: {
    publishers: [
      {
        source: 'github.com/acme/monorepo',
        ids: ['901234567'],
        refs: ['refs/tags/v{version}', 'refs/heads/release/*'],
      },
    ],
  },
  'p1-warned': { modes: { 'WH-P1': 'warn' } },
} as const satisfies Record<string, Json>

export const POLICY_NAMES: readonly PolicyName[] = ['none', ...Object.keys(SPECS).filter(isPolicy)]

function isPolicy(name: string): name is keyof typeof SPECS {
  return Object.hasOwn(SPECS, name)
}

export const POLICIES: readonly Json[] = Object.entries(SPECS).map(([name, spec]) => ({
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'ModulePolicy',
  metadata: { name },
  spec: {
    identities: IDENTITIES,
    ...spec,
    selector: { namespaces: [name], ...('selector' in spec ? spec.selector : {}) },
  },
}))
