// The one valid AuthenticationConfiguration of the core and platform tests, as data: one issuer, claims as the broker
// sends them. A test changes what it is about.
import type {
  AuthenticationConfiguration,
  JwtAuthenticator,
  JwtIssuer,
} from '../../src/core/kube/authentication_configuration.ts'

export type KubeConfigurationChange = Partial<Omit<JwtAuthenticator, 'issuer' | 'claimMappings'>> & {
  readonly issuer?: Partial<JwtIssuer>
  readonly claimMappings?: Partial<JwtAuthenticator['claimMappings']>
}

export function kubeConfiguration(change: KubeConfigurationChange = {}): AuthenticationConfiguration {
  const { issuer = {}, claimMappings = {}, ...rules } = change
  const authenticator: JwtAuthenticator = {
    issuer: {
      url: 'https://broker.example.test',
      discoveryURL: undefined,
      certificateAuthority: '',
      audiences: ['kube:local'],
      audienceMatchPolicy: '',
      egressSelectorType: '',
      ...issuer,
    },
    claimValidationRules: [{ claim: 'token_use', requiredValue: 'kube', expression: '', message: '' }],
    claimMappings: {
      username: { claim: 'sub', expression: '', prefix: 'ci:' },
      groups: { claim: 'groups', expression: '', prefix: 'ci:' },
      uid: { claim: '', expression: '' },
      extra: [],
      ...claimMappings,
    },
    userValidationRules: [],
    ...rules,
  }
  return { version: 'v1', jwt: [authenticator], anonymous: undefined }
}
