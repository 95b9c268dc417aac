// The provider `oidc-provider` with one public client and any account; the port is its argument.
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'registry-tui',
    token_endpoint_auth_method: 'none',
    redirect_uris: [],
    response_types: [],
    grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
  }],
  features: { deviceFlow: { enabled: true } },
  // Claims of scopes stand in the ID token, as most providers have it.
  conformIdTokenClaims: false,
  claims: { profile: ['preferred_username'] },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id }) }),
});
provider.listen(port, '127.0.0.1', () => console.log('listening'));
