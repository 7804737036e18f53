"""Mixtures of diagonal Gaussians against scipy and finite differences in float64, and the closed forms of moments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

from mcvae_jax.nn import mixture
from mcvae_jax.nn.mixture import Mixture, bounded_log_sigma, from_standardised, log_density, moments, sample


def some_mixture(components, latent, seed=0, spread=2.0):
    """Leading axes none; float64 numpy arrays."""
    rng = np.random.default_rng(seed)
    return Mixture(
        log_pi=special.log_softmax(2 * rng.normal(size=components)),
        mu=spread * rng.normal(size=(components, latent)),
        log_sigma=rng.normal(size=(components, latent)),
    )


def single(m):
    return Mixture(*(jnp.asarray(a, jnp.float32) for a in m))


def oracle(m, z):
    """log sum_k pi_k prod_d N(z_d; mu_kd, sigma_kd) of one mixture at one z, in float64."""
    return special.logsumexp(m.log_pi + stats.norm(m.mu, np.exp(m.log_sigma)).logpdf(z).sum(axis=-1))


@pytest.mark.parametrize("components, latent", [(1, 1), (3, 2), (10, 64), (300, 5)])
def test_the_density_against_scipy(components, latent):
    m = some_mixture(components, latent)
    z = 3 * np.random.default_rng(1).normal(size=(20, latent))
    expected = [oracle(m, row) for row in z]
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (20, *a.shape)), single(m))
    np.testing.assert_allclose(log_density(batch, jnp.asarray(z, jnp.float32)), expected, rtol=2e-5, atol=1e-5)


def per_dimension(components, latent, seed=0):
    """A mixture for each dimension by itself."""
    m = some_mixture(components, latent, seed)
    logits = 2 * np.random.default_rng(seed + 9).normal(size=(components, latent))
    return m._replace(log_pi=special.log_softmax(logits, axis=0))


def of_dimension(m, d):
    """The mixture of one dimension, over vectors of one number."""
    return Mixture(m.log_pi[:, d], m.mu[:, d : d + 1], m.log_sigma[:, d : d + 1])


@pytest.mark.parametrize("components, latent", [(1, 1), (5, 3), (10, 64)])
def test_per_dimension_the_density_is_the_product_of_those_of_the_dimensions(components, latent):
    m = per_dimension(components, latent)
    z = 3 * np.random.default_rng(1).normal(size=(20, latent))
    expected = [sum(oracle(of_dimension(m, d), row[d]) for d in range(latent)) for row in z]
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (20, *a.shape)), single(m))
    np.testing.assert_allclose(log_density(batch, jnp.asarray(z, jnp.float32)), expected, rtol=2e-5, atol=1e-5)
    entropies = [stats.entropy(np.exp(m.log_pi[:, d])) for d in range(latent)]
    np.testing.assert_allclose(mixture.weight_entropy(single(m)), np.mean(entropies), rtol=1e-4, atol=1e-6)
    shares = mixture.responsibilities(batch, mixture.component_log_densities(batch, jnp.asarray(z, jnp.float32)))
    assert shares.shape == (20, components)
    by_hand = special.softmax(m.log_pi + stats.norm(m.mu, np.exp(m.log_sigma)).logpdf(z[0]), axis=0).mean(axis=1)
    np.testing.assert_allclose(shares[0], by_hand, rtol=1e-3, atol=1e-6)


def test_per_dimension_the_density_of_one_dimension_integrates_to_that_of_the_others():
    m, grid = per_dimension(4, 2), np.linspace(-60, 60, 12001)
    z = jnp.asarray(np.stack([grid, np.full(len(grid), 0.7)], axis=-1), jnp.float32)
    batch = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(grid), *a.shape)), single(m))
    mass = np.exp(np.asarray(log_density(batch, z), np.float64))
    assert np.trapezoid(mass, grid) == pytest.approx(np.exp(oracle(of_dimension(m, 1), 0.7)), rel=1e-3)


def test_leading_axes_are_mixtures_of_their_own():
    one, other = some_mixture(3, 2, seed=0), some_mixture(3, 2, seed=1)
    z = np.array([0.5, -1.0])
    both = Mixture(*(jnp.stack([a, b])[:, None] for a, b in zip(single(one), single(other), strict=True)))
    found = log_density(both, jnp.asarray(z, jnp.float32)[None, None])
    assert found.shape == (2, 1)
    np.testing.assert_allclose(found[:, 0], [oracle(one, z), oracle(other, z)], rtol=1e-5)


def test_gradients_against_finite_differences_in_float64():
    m, z = some_mixture(4, 3), np.array([0.7, -1.1, 2.0])
    flat = np.concatenate([np.ravel(a) for a in (*m, z)])

    def parts(x):
        log_pi, mu, log_sigma, at = np.split(x, [4, 16, 28])
        return Mixture(log_pi, mu.reshape(4, 3), log_sigma.reshape(4, 3)), at

    expected = optimize.approx_fprime(flat, lambda x: oracle(*parts(x)), 1e-7)
    of_mixture, of_z = jax.grad(log_density, argnums=(0, 1))(single(m), jnp.asarray(z, jnp.float32))
    found = np.concatenate([np.ravel(a) for a in (*of_mixture, of_z)])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sigmas", [1e3, 1e6])
def test_far_tails_are_finite_and_right(sigmas):
    m = some_mixture(5, 4)
    z = m.mu[2] + sigmas * np.exp(m.log_sigma[2])
    assert np.exp(oracle(m, z)) == 0  # even in float64: only its log can be told
    value, gradient = jax.value_and_grad(log_density)(single(m), jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(value, oracle(m, z), rtol=1e-4)
    # the responsibilities there are 0 and 1: the gradient by the weights says so, and none is lost in overflow
    assert all(np.all(np.isfinite(g)) for g in gradient)
    assert float(jnp.sum(gradient.log_pi)) == pytest.approx(1.0)


@pytest.mark.parametrize("floor", [1e-1, 1e-5])
def test_tiny_scales(floor):
    raw = jnp.full((2, 3), -1e4)  # the scales sit on the floor
    m = Mixture(jnp.log(jnp.array([0.5, 0.5])), jnp.array([[0.0] * 3, [1.0] * 3]), bounded_log_sigma(raw, floor))
    exact = Mixture(np.log([0.5, 0.5]), np.array([[0.0] * 3, [1.0] * 3]), np.full((2, 3), np.log(floor)))
    for offset in (0.0, 0.5, 3.0):
        z = np.full(3, offset * floor)
        np.testing.assert_allclose(log_density(m, jnp.asarray(z, jnp.float32)), oracle(exact, z), rtol=1e-4)
    gradient = jax.grad(log_density)(m, jnp.full(3, 0.5))  # half-way: hundreds of scales from both
    assert all(np.all(np.isfinite(g)) for g in gradient)


def test_components_of_weight_minus_infinity_do_not_exist():
    m = some_mixture(4, 3)
    kept = Mixture(special.log_softmax(m.log_pi[:2]), m.mu[:2], m.log_sigma[:2])
    with_ghosts = single(m)._replace(log_pi=jnp.concatenate([single(kept).log_pi, jnp.full(2, -jnp.inf)]))
    for z in (m.mu[0], m.mu[3], m.mu[3] + 1e3):
        at = jnp.asarray(z, jnp.float32)
        np.testing.assert_allclose(log_density(with_ghosts, at), oracle(kept, z), rtol=1e-4)
        gradient = jax.grad(log_density)(with_ghosts, at)
        assert all(np.all(np.isfinite(g)) for g in gradient)
        assert not np.any(gradient.mu[2:]) and not np.any(gradient.log_sigma[2:])
    entropy = mixture.weight_entropy(with_ghosts)
    np.testing.assert_allclose(entropy, stats.entropy(np.exp(kept.log_pi)), rtol=1e-5)
    drawn = draws(with_ghosts._replace(log_sigma=jnp.full((4, 3), -20.0)), 200)
    assert {int(k) for k in np.argmin(np.abs(drawn[:, None] - m.mu).sum(-1), axis=1)} == {0, 1}


def test_the_entropy_of_the_weights_and_its_gradient():
    even = Mixture(jnp.log(jnp.full(8, 1 / 8)), jnp.zeros((8, 1)), jnp.zeros((8, 1)))
    assert float(mixture.weight_entropy(even)) == pytest.approx(np.log(8))
    sure = even._replace(log_pi=jnp.array([0.0] + [-jnp.inf] * 7))
    assert float(mixture.weight_entropy(sure)) == 0
    assert np.all(np.isfinite(jax.grad(lambda p: mixture.weight_entropy(sure._replace(log_pi=p)))(sure.log_pi)))


def draws(m, count, **tau):
    """(count, Z) in float64."""
    keys = jax.random.split(jax.random.key(3), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: sample(m, key, **tau)[0]))(keys), np.float64)


def check_moments(drawn, expected_mean, expected_variance):
    """Within 5 standard errors; those of the variances are estimated from the fourth moments of the draws."""
    count = len(drawn)
    centred = drawn - drawn.mean(axis=0)
    fourth = np.mean(centred**4, axis=0)
    assert np.all(np.abs(drawn.mean(axis=0) - expected_mean) < 5 * np.sqrt(expected_variance / count))
    error = np.sqrt((fourth - expected_variance**2) / count)
    assert np.all(error < 0.1 * expected_variance)  # sharp enough to tell a scale from its square
    assert np.all(np.abs(drawn.var(axis=0) - expected_variance) < 5 * error)


def test_a_tiny_tau_pi_takes_the_largest_component():
    m = single(some_mixture(4, 3))
    assert np.array_equal(draws(m, 20, tau_pi=1e-38), draws(m, 20, tau_pi=0.0))


def test_moments_of_draws_are_those_of_the_closed_form():
    m = some_mixture(4, 3)
    pi, variance = np.exp(m.log_pi)[:, None], np.exp(2 * m.log_sigma)
    mean = np.sum(pi * m.mu, axis=0)
    expected = np.sum(pi * (variance + (m.mu - mean) ** 2), axis=0)  # the law of total variance
    np.testing.assert_allclose(np.stack(moments(single(m))), [mean, expected], rtol=1e-4)
    check_moments(draws(single(m), 20_000), mean, expected)


def test_per_dimension_draws_have_the_moments_of_each_dimension_and_no_more_in_common():
    m = per_dimension(4, 3)
    pi, variance = np.exp(m.log_pi), np.exp(2 * m.log_sigma)
    mean = np.sum(pi * m.mu, axis=0)
    expected = np.sum(pi * (variance + (m.mu - mean) ** 2), axis=0)
    np.testing.assert_allclose(np.stack(moments(single(m))), [mean, expected], rtol=1e-4)
    drawn = draws(single(m), 20_000)
    check_moments(drawn, mean, expected)
    assert np.abs(np.corrcoef(drawn.T)[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(20_000)
    of_vectors = single(m)._replace(log_pi=jnp.asarray(m.log_pi[:, 0], jnp.float32))
    assert np.abs(np.corrcoef(draws(of_vectors, 20_000).T)[np.triu_indices(3, 1)]).max() > 0.1
    largest = m.mu[np.argmax(m.log_pi, axis=0), np.arange(3)]
    np.testing.assert_allclose(draws(single(m), 5, tau_pi=0.0, tau_sigma=0.0), np.tile(largest, (5, 1)), rtol=1e-6)


def world_models_draws(m, tau, count):
    """Draws as World Models' published code makes them: weights of logits / tau, scales times sqrt(tau)."""
    rng = np.random.default_rng(4)
    weights = special.softmax(m.log_pi / tau, axis=0)
    k = np.stack([rng.choice(len(m.mu), count, p=weights[:, d]) for d in range(m.mu.shape[1])], axis=1)
    d = np.arange(m.mu.shape[1])
    return m.mu[k, d] + np.exp(m.log_sigma[k, d]) * rng.normal(size=k.shape) * np.sqrt(tau)


@pytest.mark.parametrize("tau", [0.3, 3.0])
def test_both_taus_at_one_value_are_the_temperature_of_world_models(tau):
    """Two-sample Kolmogorov-Smirnov of each dimension; with either tau left at 1 they are told apart."""
    m = per_dimension(4, 3)
    wanted = world_models_draws(m, tau, 4_000)

    def least_p(**taus):
        drawn = draws(single(m), 4_000, **taus)
        return min(stats.ks_2samp(wanted[:, d], drawn[:, d]).pvalue for d in range(3))

    assert least_p(tau_pi=tau, tau_sigma=tau) > 1e-3
    assert least_p(tau_pi=tau) < 1e-6 and least_p(tau_sigma=tau) < 1e-6


def test_scales_are_standard_deviations_and_not_variances_when_sampling():
    # as a variance, 0.1 would give draws of a standard deviation of 0.32, and 9 of 3 (error 6 of the published code)
    m = Mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.log(jnp.array([[0.1, 9.0]])))
    check_moments(draws(m, 20_000), np.zeros(2), np.array([0.01, 81.0]))


@pytest.mark.parametrize("tau_sigma", [0.25, 4.0])
def test_tau_sigma_multiplies_variances(tau_sigma):
    m = Mixture(jnp.zeros(1), jnp.ones((1, 2)), jnp.log(jnp.array([[0.5, 2.0]])))
    check_moments(draws(m, 20_000, tau_sigma=tau_sigma), np.ones(2), tau_sigma * np.array([0.25, 4.0]))


@pytest.mark.parametrize("tau_pi", [0.5, 1.0, 3.0])
def test_tau_pi_divides_the_logits(tau_pi):
    log_pi = np.log([0.6, 0.3, 0.1])
    m = Mixture(jnp.asarray(log_pi, jnp.float32), jnp.array([[0.0], [10.0], [20.0]]), jnp.zeros((3, 1)))
    drawn = draws(m, 5_000, tau_pi=tau_pi, tau_sigma=0.0)[:, 0]
    share = np.array([np.mean(drawn == mean) for mean in (0.0, 10.0, 20.0)])
    expected = special.softmax(log_pi / tau_pi)
    assert share.sum() == pytest.approx(1)
    assert np.all(np.abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / 5_000))


def test_temperatures_of_zero_take_the_largest_component_and_its_mean():
    m = Mixture(jnp.log(jnp.array([0.3, 0.4, 0.3])), jnp.array([[0.0], [10.0], [20.0]]), jnp.zeros((3, 1)))
    assert set(draws(m, 50, tau_pi=0.0, tau_sigma=0.0)[:, 0]) == {10.0}
    of_largest = draws(m, 20_000, tau_pi=0.0)
    check_moments(of_largest, np.array([10.0]), np.array([1.0]))
    assert set(draws(m, 50, tau_sigma=0.0)[:, 0]) == {0.0, 10.0, 20.0}


def test_bounded_log_sigma_at_extremes():
    raw = np.array([-1e30, -1e4, -100.0, -20.0, -1.0, 0.0, 1.0, 20.0, 1e4, 1e30])
    found = np.asarray(bounded_log_sigma(jnp.asarray(raw, jnp.float32), 1e-3))
    np.testing.assert_allclose(found, np.log(1e-3 + np.logaddexp(0, raw)), rtol=1e-5, atol=1e-6)
    assert np.exp(found.min()) == pytest.approx(1e-3, rel=1e-4) and np.exp(found[5]) == pytest.approx(0.694, abs=1e-3)
    slope = jax.vmap(jax.grad(lambda r: bounded_log_sigma(r, 1e-3)))(jnp.asarray(raw, jnp.float32))
    assert np.all(np.isfinite(slope)) and np.all(np.asarray(slope) >= 0)


def test_the_density_of_standardised_vectors_minus_the_sum_of_the_log_scales():
    m = some_mixture(4, 3)
    mean, scale = np.array([1.0, -20.0, 0.3]), np.array([0.1, 7.0, 2.0])
    of_z = from_standardised(single(m), jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32))
    for x in (m.mu[1], np.zeros(3), np.array([2.0, -3.0, 5.0])):
        found = log_density(of_z, jnp.asarray(mean + scale * x, jnp.float32))
        np.testing.assert_allclose(found, oracle(m, x) - np.sum(np.log(scale)), rtol=1e-4)
