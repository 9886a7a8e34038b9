/* test_property.c - the property tests under Criterion. Each counts and prints its own checks. */
#include "property.h"
#include <criterion/criterion.h>

Test(property, sweep) {
    property_options o = property_defaults();
    cr_assert_eq(property_sweep(&o), 0);
}

Test(property, statuses) {
    property_options o = property_defaults();
    cr_assert_eq(property_statuses(&o), 0);
}

Test(property, mutations) {
    property_options o = property_defaults();
    cr_assert_eq(property_mutations(&o), 0);
}
