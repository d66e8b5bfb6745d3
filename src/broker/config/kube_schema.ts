// The section `kube` of sallyport.yaml: the clusters that trust this broker, as far as the broker itself deals with them.
import { Type } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { name } from './field_schema.ts'

/** What holds where the file says nothing: the prefixes of `sallyport kube auth-config`. */
export const KUBE_DEFAULTS = { usernamePrefix: 'ci:', groupsPrefix: 'ci:' } as const

const prefix = (what: string, fallback: string) =>
  Type.Optional(
    Type.String({
      maxLength: 64,
      default: fallback,
      description: `Put before each ${what} of the cluster. \`system:\` is never given out.`,
    }),
  )

const KubeApiserverSchema = Type.Object({
  url: Type.String({
    minLength: 1,
    format: 'https-or-http-url',
    description:
      'One kube-apiserver itself, not a load balancer: each replica keeps its own copy of our keys.',
    examples: ['https://10.0.0.11:6443'],
  }),
  audience: name('Audience (profile `kubernetes`) of its AuthenticationConfiguration.'),
  caFile: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Certificates, PEM, that it is trusted by. Left out: the system ones.',
    }),
  ),
  metricsTokenFile: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Bearer token that may read its `/metrics`. Only needed where rules of the cluster refuse the token of a flush.',
    }),
  ),
})

const ReviewClientSchema = Type.Object({
  id: name("Client (with a secret) that the cluster's kubeconfig names as user."),
  audience: name('The audience (profile `kubernetes`) whose tokens this cluster may have reviewed.'),
  usernamePrefix: prefix('user name', KUBE_DEFAULTS.usernamePrefix),
  groupsPrefix: prefix('group', KUBE_DEFAULTS.groupsPrefix),
})

export const KubeSchema = Type.Object(
  {
    apiservers: Type.Optional(
      Type.Array(KubeApiserverSchema, {
        description: 'Every kube-apiserver replica that `sallyport keys revoke --flush` must reach.',
      }),
    ),
    tokenReview: Type.Optional(
      Type.Object(
        {
          clients: Type.Array(ReviewClientSchema, {
            minItems: 1,
            description: 'One for each cluster.',
          }),
        },
        {
          description:
            'Answer TokenReviews at `<issuer>/kubernetes/token-review`, for clusters that cannot take an ' +
            'AuthenticationConfiguration.',
        },
      ),
    ),
  },
  { description: 'Clusters that trust this broker.' },
)

export type KubeApiserverFile = Static<typeof KubeApiserverSchema>
export type ReviewClientFile = Static<typeof ReviewClientSchema>
