// Group K, as far as the broker is concerned: what it issues for clusters, and what it is no server of.
import t from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { startTestBroker } from '../support/test_broker.ts'
import type { Config, Reply, TestBroker } from '../support/test_broker.ts'
import { invalid, threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { addPolicy } from '../support/threat_world.ts'

const broker = await startTestBroker(t)
const { refuses, refusesConfig } = threatTable(t, broker)
const scope = (id: string): string => `audience:server:client_id:${id}`

for (const [place, other] of [
  ['kubernetes', 'registry'],
  ['registry', 'kubernetes'],
] as const)
  t.test(`TH-K01: a token for ${place} is none for ${other}`, async (t) => {
    const { claims = {} } = (await broker.exchange({ scope: scope(place) })).token ?? {}
    t.equal(claims['aud'], place, 'it names that place alone')
    t.notMatch(JSON.stringify(claims), other)
  })
refuses({
  id: 'K01',
  says: 'one token for the cluster and the registry',
  reason: 'audience_profiles_mixed',
  answer: invalid('invalid_target', 'The requested audiences do not fit in one token.'),
  attack: (world) => world.exchange({ scope: `${scope('kubernetes')} ${scope('registry')}` }),
  twin: (world) => world.exchange({ scope: scope('kubernetes') }),
})

const grantOf = (grant: object) => (config: Config) =>
  addPolicy(config, {
    name: 'new',
    claims: { project_id: '48291' },
    grant: { audiences: ['kubernetes'], ...grant },
  })
for (const [says, grant, finding] of [
  ['a user name of Kubernetes', { username: 'system:node:${project_path}' }, /output_reserved/],
  ['a group of Kubernetes', { groups: ['system:nodes'] }, /output_reserved/],
  ['a claim that a cluster reads', { claims: { groups: 'system:masters' } }, /output_claim_reserved/],
] as const)
  refusesConfig({
    id: 'K04',
    says: `a policy that gives ${says}`,
    change: grantOf(grant),
    finding,
    twin: grantOf({ username: 'ci:${project_path}', groups: ['nodes'] }),
  })
refuses({
  id: 'K04',
  says: 'a job that is named as a user of Kubernetes',
  reason: 'identity_name_reserved',
  attack: (world) =>
    world.exchange({
      scope: scope('kubernetes'),
      subject_token: world.mint({ preferred_username: 'system:kube-scheduler' }),
    }),
  twin: (world) => world.exchange({ scope: scope('kubernetes') }),
})

refusesConfig({
  id: 'K05',
  says: 'keys that no apiserver verifies with',
  change: (config) => Object.assign(config, { keys: { algorithm: 'EdDSA' } }),
  finding: /algorithm/,
  twin: (config) => Object.assign(config, { keys: { algorithm: 'ES256' } }),
})

const notOffered: Pick<RefusedRow, 'reason' | 'answer'> = {
  reason: 'method_not_allowed',
  answer: invalid('invalid_request', 'method not allowed'),
}
const registryToken =
  (query: string) =>
  (world: TestBroker): Promise<Reply> =>
    world.get(`/token?${query}`, {
      authorization: `Basic ${Buffer.from(`ci:${SECRETS.ci}`).toString('base64')}`,
    })
for (const query of [
  'service=registry&scope=repository:a/b:pull,push',
  'service=registry&scope=repository:registry:5000/a/b:*&scope=registry:catalog:*',
  'service=registry&scope=repository(plugin):a/b:pull',
])
  refuses({ id: 'K08', says: `Docker’s question ${query}`, ...notOffered, attack: registryToken(query) })
refuses({
  id: 'K09',
  says: 'Docker’s question of somebody without a name',
  ...notOffered,
  attack: (world) => world.get('/token?service=registry&scope=repository:a/b:pull'),
})
