// An OpenID provider for TestARealProvider: npm's oidc-provider, as it comes, with its own pages for login and consent.
// OIDC_PROVIDER is the package's folder, PORT where to listen, LOGOUT_URI where each client hears of logouts.
import { pathToFileURL } from 'node:url';

const { default: Provider } = await import(pathToFileURL(`${process.env.OIDC_PROVIDER}/lib/index.js`));

const client = (client_id) => ({
  client_id,
  client_secret: 'client-secret',
  redirect_uris: ['https://client.example/callback'],
  backchannel_logout_uri: process.env.LOGOUT_URI,
  backchannel_logout_session_required: true,
});

const provider = new Provider(`http://127.0.0.1:${process.env.PORT}`, {
  clients: [client('matching'), client('mismatched')],
  features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  cookies: { keys: ['cookie-key'] },
  // Its dispatcher refuses loopback, which is where the test listens.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});
provider.on('backchannel.error', (ctx, error, { clientId }) => console.log(`refused ${clientId} ${error.message}`));
provider.on('backchannel.success', (ctx, { clientId }) => console.log(`told ${clientId}`));
provider.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
